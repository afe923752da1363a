"""A ReLU as a custom Function, with the derivative at 0 of one's choice."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.elementwise import Elementwise
from descend.ops.op import Op, scalar_like


class _SubgradientReLU(Elementwise):
    @staticmethod
    def forward(x: Tensor, at_zero: Tensor) -> Tensor:
        return torch.clamp_min(x, 0.0)

    @staticmethod
    def derivative(x: Tensor, y: Tensor, at_zero: Tensor) -> Tensor:
        return torch.where(x == 0, at_zero, (x > 0).to(x.dtype))


@dataclass(frozen=True)
class SubgradientReLU(Op):
    """y = max(x, 0), with derivative `at_zero` at 0: any number in [0, 1] is a subgradient there.

    0 has the least norm and is torch's choice; on the effect of the choice on training see Bertoin et al. 2021,
    "Numerical influence of ReLU'(0) on backpropagation", section 3.
    """

    at_zero: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "at_zero", at_least=0, at_most=1)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def __call__(self, x: Tensor) -> Tensor:
        return _SubgradientReLU.apply(x, scalar_like(self.at_zero, x))
