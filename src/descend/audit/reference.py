"""The right value of a derivative, found without automatic differentiation, entry by entry."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

TOLERANCE = 1e-9
"""A right entry may be off by this share of itself: the accuracy of torch's own special functions."""
ROUNDING = 1e-11
"""It may also be off by this share of the numbers that it was summed from: rounding, grown by some operations."""
BELOW_ROUNDING = 1e-13
"""Nothing is called wrong below this share of the greatest entry: within one operation of torch's, terms may have
cancelled unseen."""
KNOWN = 1e-5
"""A reference must know an entry to this share of it."""
CHECKED = 1e-3
"""An entry counts as unchecked if more than this share of it would have to be forgiven."""
COARSE = 30
"""A result may be off by this many rounding errors of a low precision."""
NOTHING = 1e-9
"""An entry of zero must be known to this share of the function's own size."""
EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True)
class Verified:
    """How the entries of a derivative compare with a reference, each bool of its shape.

    An entry is neither right nor wrong where it was not checked.
    """

    right: Tensor
    wrong: Tensor
    error: float
    """The greatest relative error of an entry; infinite where one is not finite."""

    @property
    def unchecked(self) -> Tensor:
        """Which entries could not be checked."""
        return ~(self.right | self.wrong)


@dataclass(frozen=True)
class Reference:
    """A derivative of order k known to lie between `low` and `high` [d, …, d], which differ at a kink alone.

    Attributes:
        name: how it was found.
        error: estimated absolute error of each entry; infinite where nothing settled.
        scale: the size of the function it is a derivative of.
    """

    name: str
    low: Tensor
    high: Tensor
    error: Tensor
    scale: float = 0.0
    size: Tensor = field(init=False)
    """The greater of the two bounds in size."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", torch.maximum(self.low.abs(), self.high.abs()))

    @property
    def settled(self) -> Tensor:
        """Which entries are known: to `KNOWN` of their own size, or to be nothing beside the function."""
        finite = self.size.isfinite() & self.error.isfinite()
        nothing = (self.size <= 10 * self.error) & (self.error <= NOTHING * max(self.scale, self.greatest))
        return finite & ((self.error <= KNOWN * self.size) | nothing)

    @property
    def greatest(self) -> float:
        """The greatest entry in size."""
        return self.size.nan_to_num(nan=0.0, posinf=0.0).max().item()

    @property
    def at_kink(self) -> bool:
        """Whether some derivative has different values from the two sides, or none."""
        return not self.settled.all() or bool((self.high - self.low > 10 * self.error + TOLERANCE * self.size).any())

    def outside(self, found: Tensor) -> Tensor:
        """How far each entry of `found` lies outside; infinite where it is NaN."""
        return torch.relu(torch.maximum(self.low - found, found - self.high)).nan_to_num(nan=math.inf)

    def verify(self, found: Tensor, terms: Tensor | None = None, eps: float = EPS) -> Verified:
        """Judge each entry of `found` on its own scale.

        Args:
            found: of the reference's shape.
            terms: the size of the numbers that each entry was summed from (`magnitude`); None where not known.
            eps: the coarsest precision that the function goes through.
        """
        outside, settled = self.outside(found), self.settled
        of_entry, of_terms = (max(share, COARSE * eps) for share in (TOLERANCE, ROUNDING))
        terms = self.size if terms is None else torch.maximum(terms.nan_to_num(nan=0.0, posinf=0.0), self.size)
        allowed = of_entry * self.size + of_terms * terms + 10 * self.error.nan_to_num(posinf=0.0)
        wrong = settled & (outside > allowed + max(BELOW_ROUNDING, eps) * self.greatest)
        nothing = allowed <= NOTHING * max(self.scale, self.greatest)
        known = (allowed <= max(CHECKED, 2 * of_entry) * self.size) | nothing
        right = settled & (outside <= allowed) & known
        relative = outside / torch.maximum(self.size, found.abs()).clamp(min=torch.finfo(found.dtype).tiny)
        relative = torch.where(outside > 0, relative.nan_to_num(nan=math.inf), 0.0)
        # Where an entry is zero, the rounding left in its place has no relative error.
        shown = torch.where(settled & ~(right & nothing & (self.size <= allowed)), relative, 0.0)
        return Verified(right, wrong, shown.max().item())

    def admits(self, found: Tensor) -> bool:
        """Whether no entry of `found` is wrong."""
        return not self.verify(found).wrong.any()

    def less_certain(self, error: Tensor) -> "Reference":
        """The same with a greater error."""
        return replace(self, error=self.error + error.nan_to_num(posinf=0.0))


def combined(references: Sequence[Reference]) -> Reference | None:
    """For every entry, take the first reference that has settled on it; None where there are no references."""
    if not references:
        return None
    low, high, error = (getattr(references[-1], name).clone() for name in ("low", "high", "error"))
    names, scale = [], max(each.scale for each in references)
    rest = torch.ones_like(low, dtype=torch.bool)
    for each in references:
        chosen = rest & each.settled
        if chosen.any():
            names.append(each.name)
            low, high, error = (
                torch.where(chosen, mine, others)
                for mine, others in ((each.low, low), (each.high, high), (each.error, error))
            )
            rest &= ~chosen
    error = torch.where(rest, math.inf, error)
    return Reference(" and ".join(names), low, high, error, scale)
