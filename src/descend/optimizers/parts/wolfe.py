"""A search along a line for a point of the strong Wolfe conditions, one trial at a time."""

import torch
from torch import Tensor

SUFFICIENT = 1e-4
"""The share of the decrease that the slope promises which a step must keep (Nocedal & Wright, section 3.1)."""

ROUNDING = 4
"""Rounding errors of the value by which it may rise: close to a minimum differences are nothing else."""

NOISE = 1000
"""Rounding errors of the value within which the slopes alone decide: a value may be the sum of large terms."""

MARGIN = 0.05
"""A trial stays this share of the bracket away from its ends."""

FARTHEST = 4.0
"""While no bracket is known, a trial goes at most so many times the last stretch farther."""

MOST_TRIALS = 30
"""After so many the lowest point found is taken."""

Search = dict[str, Tensor]
"""A search of t ↦ φ(t) = f(x + t p), all of []:

`length` t of the trial; `low` of the lowest point that falls by enough, with its `low_value` and `low_slope` (φ'), and
`high` likewise of the other end of the bracket, infinite while there is none; `value` and `descent` are φ(0) and φ'(0);
`trials` so far; `last`: whether the trial is taken whatever it is.
"""


def search_from(value: Tensor, descent: Tensor, length: Tensor) -> Search:
    """Return a search from φ(0) and φ'(0) that tries `length` first."""
    zero = torch.zeros_like(value)
    return {
        "length": length,
        "low": zero,
        "low_value": value,
        "low_slope": descent,
        "high": torch.full_like(value, torch.inf),
        "high_value": torch.full_like(value, torch.inf),
        "high_slope": zero,
        "value": value,
        "descent": descent,
        "trials": zero,
        "last": torch.zeros_like(value, dtype=torch.bool),
    }


def falls(value: Tensor, there: Tensor, promised: Tensor) -> Tensor:
    """Armijo's condition: whether f falls from `value` to `there` by enough, where `promised` is t ∇f·p; all of [].

    Armijo, "Minimization of functions having Lipschitz continuous first partial derivatives" (Pacific J. Math. 16,
    1966); Nocedal & Wright, "Numerical Optimization", eq. 3.4. False where `there` is not a number.
    """
    return there <= value + SUFFICIENT * promised + ROUNDING * torch.finfo(value.dtype).eps * value.abs()


def looked(search: Search, value: Tensor, slope: Tensor, flatness: float) -> tuple[Search, Tensor, Tensor]:
    """Take in φ and φ' at the trial; return the search with the next trial, whether this one is taken, and is lower.

    The strong Wolfe conditions are φ(t) ≤ φ(0) + c₁ t φ'(0) and |φ'(t)| ≤ c₂ |φ'(0)|. The bracket shrinks as in
    Nocedal & Wright, "Numerical Optimization", algorithm 3.6, and grows by extrapolation until there is one; trials are
    minimisers of cubics. Close to a minimum, where differences of values are rounding, slopes decide, as in Hager &
    Zhang, "A new conjugate gradient method with guaranteed descent" (SIAM J. Optim. 16, 2005), eq. 4.3.

    Args:
        flatness: c₂, below 1.
    """
    t, low, high = search["length"], search["low"], search["high"]
    flat = slope.abs() <= flatness * search["descent"].abs()
    noise = NOISE * torch.finfo(t.dtype).eps * search["value"].abs()
    enough = falls(search["value"], value, t * search["descent"]) | (flat & (value <= search["value"] + noise))
    taken = search["last"] | (enough & flat)
    lower = taken | (enough & (value <= search["low_value"]))
    turned = slope * (high - low) >= 0  # the minimum lies between the trial and what was lowest
    after = {
        "low": torch.where(lower, t, low),
        "low_value": torch.where(lower, value, search["low_value"]),
        "low_slope": torch.where(lower, slope, search["low_slope"]),
        "high": torch.where(lower, torch.where(turned, low, high), t),
        "high_value": torch.where(lower, torch.where(turned, search["low_value"], search["high_value"]), value),
        "high_slope": torch.where(lower, torch.where(turned, search["low_slope"], search["high_slope"]), slope),
        "value": search["value"],
        "descent": search["descent"],
        "trials": search["trials"] + 1,
    }
    wide = (after["high"] - after["low"]).abs() > 2 * torch.finfo(t.dtype).eps * torch.maximum(t.abs(), after["low"])
    last = ~wide | (after["trials"] >= MOST_TRIALS)
    onward = torch.where(after["high"].isfinite(), within(after), beyond(search, after))
    return after | {"length": torch.where(last, after["low"], onward), "last": last}, taken, lower


def within(search: Search) -> Tensor:
    """Return the next trial inside the bracket."""
    low, high = search["low"], search["high"]
    found = cubic_minimiser(
        low, search["low_value"], search["low_slope"], high, search["high_value"], search["high_slope"]
    )
    share = (found - low) / (high - low)
    middle = torch.full_like(share, 0.5)
    return low + torch.where(share.isfinite(), share, middle).clamp(MARGIN, 1 - MARGIN) * (high - low)


def beyond(before: Search, search: Search) -> Tensor:
    """Return the next trial where φ still falls at the last."""
    last, stretch = search["low"], search["low"] - before["low"]
    found = cubic_minimiser(
        before["low"], before["low_value"], before["low_slope"], last, search["low_value"], search["low_slope"]
    )
    times = (found - last) / stretch
    far = torch.full_like(times, FARTHEST)
    return last + torch.where(times > 0, times, far).clamp(0.1, FARTHEST) * stretch


def cubic_minimiser(a: Tensor, fa: Tensor, da: Tensor, b: Tensor, fb: Tensor, db: Tensor) -> Tensor:
    """Return the minimiser of the cubic with these values and slopes at a and b; NaN where it has none.

    Nocedal & Wright, "Numerical Optimization", eq. 3.59.
    """
    theta = da + db - 3 * (fa - fb) / (a - b)
    root = torch.sign(b - a) * (theta * theta - da * db).sqrt()
    return b - (b - a) * (db + root - theta) / (db - da + 2 * root)
