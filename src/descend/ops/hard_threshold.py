"""Small numbers become zero, large ones stay."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.op import Op


@dataclass(frozen=True)
class HardThreshold(Op):
    """y = x where |x| > `threshold`, else 0: the proximal map of the ℓ₀ penalty threshold²/2·‖x‖₀.

    Donoho & Johnstone 1994, "Ideal spatial adaptation by wavelet shrinkage", section 2.
    """

    threshold: float = 0.5

    def __post_init__(self) -> None:
        check_number(self, "threshold", at_least=0)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (-self.threshold, self.threshold)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.where(x.abs() > self.threshold, x, 0.0)
