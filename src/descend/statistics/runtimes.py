"""How long it takes to reach a target, where some runs never do (Hansen et al. 2021, COCO).

A run's `hit` is what it spent up to the target, infinite where it did not get there; its `length` is what it spent in
all. Both are steps, evaluations or seconds.
"""

import numpy as np


def first_hits(spent: np.ndarray, values: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return what one run had spent when it first was at each target or below, infinite where it never was.

    Args:
        spent: float64 [k], rising.
        values: float64 [k], at each; NaN reaches no target.
        targets: float64 [t].

    Returns:
        float64 [t].
    """
    lowest = np.fmin.accumulate(values)
    places = [np.flatnonzero(lowest <= target)[:1] for target in targets]
    return np.array([spent[place[0]] if place.size else np.inf for place in places], np.float64)


def expected_runtime(hits: np.ndarray, lengths: np.ndarray) -> float:
    """Return all that was spent over the number of successes: ERT, what restarts until a success take on average.

    Args:
        hits: float64 [runs].
        lengths: float64 [runs].

    Returns:
        Infinite where no run got there.
    """
    reached = np.isfinite(hits)
    if not reached.any():
        return np.inf
    return float(np.where(reached, hits, lengths).sum() / reached.sum())


def simulated_restarts(hits: np.ndarray, lengths: np.ndarray, draws: int, seed: int = 0) -> np.ndarray:
    """Return what restarts spent until a success: runs are drawn with replacement until one got there.

    Args:
        hits: float64 [runs].
        lengths: float64 [runs].
        draws: how often.
        seed: of the draw.

    Returns:
        float64 [draws]; infinite where no run got there. Its mean tends to `expected_runtime`.
    """
    reached = np.isfinite(hits)
    if not reached.any():
        return np.full(draws, np.inf)
    generator = np.random.default_rng(seed)
    spent = hits[reached][generator.integers(reached.sum(), size=draws)]
    if reached.all():
        return spent
    failures = generator.geometric(reached.mean(), size=draws) - 1
    lost = lengths[~reached][generator.integers((~reached).sum(), size=failures.sum())]
    return spent + np.bincount(np.repeat(np.arange(draws), failures), weights=lost, minlength=draws)


def share_within(runtimes: np.ndarray, budgets: np.ndarray) -> np.ndarray:
    """Return the share of runtimes that are at most each budget: the ECDF, of several targets and tasks together.

    Args:
        runtimes: float64, of any shape.
        budgets: float64 [b].

    Returns:
        float64 [b].
    """
    return np.searchsorted(np.sort(runtimes, axis=None), budgets, side="right") / runtimes.size
