"""What a derivative must be, found without automatic differentiation."""

from dataclasses import dataclass

import torch
from torch import Tensor

TOLERANCE = 1e-9
"""Share of the greatest entry by which a right derivative may be off: rounding, grown by some thousand operations."""


@dataclass(frozen=True)
class Reference:
    """A derivative of order k known to lie between `low` and `high` [d, …, d], which differ at a kink alone.

    Attributes:
        name: how it was found.
        error: estimated absolute error of each slice along the last axis, [d]; infinite where nothing settled.
    """

    name: str
    low: Tensor
    high: Tensor
    error: Tensor

    @property
    def scale(self) -> float:
        """The greatest entry in size, of those that settled."""
        return torch.where(self.settled, torch.maximum(self.low.abs(), self.high.abs()), 0.0).max().item()

    @property
    def settled(self) -> Tensor:
        """Which slices [d] are known to a thousandth."""
        greatest = torch.maximum(self.low.abs(), self.high.abs()).reshape(-1, len(self.error)).amax(dim=0)
        return (self.error <= 1e-3 * (1 + greatest)) & greatest.isfinite()

    @property
    def at_kink(self) -> bool:
        """Whether some derivative has different values from the two sides, or none."""
        return not self.settled.all() or bool((self.high - self.low > 10 * self.error + TOLERANCE * self.scale).any())

    def distance(self, found: Tensor) -> float:
        """How far `found` lies outside, relative to the greatest entry; rounding and `error` forgiven to nothing."""
        outside = torch.relu(torch.maximum(self.low - found, found - self.high))
        farthest = torch.where(self.settled, outside.nan_to_num(nan=torch.inf), 0.0).max().item()
        return farthest / max(self.scale, _finite(found), torch.finfo(found.dtype).tiny)

    def admits(self, found: Tensor) -> bool:
        """Whether `found` is right to within rounding and the reference's own error."""
        outside = torch.relu(torch.maximum(self.low - found, found - self.high)).nan_to_num(nan=torch.inf)
        allowed = TOLERANCE * self.scale + 10 * self.error + 1e-12
        return bool(((outside <= allowed) | ~self.settled).all())


def _finite(found: Tensor) -> float:
    return found.abs().nan_to_num(nan=0.0, posinf=0.0).max().item()
