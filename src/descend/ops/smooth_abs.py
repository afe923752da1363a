"""An absolute value without the kink."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.op import Op, scalar_like


@dataclass(frozen=True)
class SmoothAbs(Op):
    """y = √(x² + `width`²), at most `width` above |x|, with y″ = 1/width at 0.

    Charbonnier et al. 1994, "Two deterministic half-quadratic regularization algorithms for computed imaging". Computed
    by `torch.hypot`, so that no x overflows.
    """

    width: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "width", above=0)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.hypot(x, scalar_like(self.width, x))
