"""log(1 − exp x) without cancellation."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.ops.elementwise import Elementwise
from descend.ops.op import Op


class _Log1mExp(Elementwise):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        near = torch.log(-torch.expm1(x))
        far = torch.log1p(-torch.exp(x))
        return torch.where(x > -math.log(2), near, far)

    @staticmethod
    def derivative(x: Tensor, y: Tensor) -> Tensor:
        # By hand, because autograd multiplies the branch not taken by 0, and near x = 0 that branch is infinite.
        return torch.exp(x) / torch.expm1(x)


@dataclass(frozen=True)
class Log1mExp(Op):
    """y = log(1 − exp x) for x < 0, −∞ at 0, NaN above; y′ = exp x / (exp x − 1).

    Switches between log(−expm1 x) and log1p(−exp x) at x = −log 2 (Mächler 2012, "Accurately Computing
    log(1 − exp(−|a|))", equation 7).
    """

    domain: ClassVar[tuple[float, float]] = (-5.0, -0.05)

    def __call__(self, x: Tensor) -> Tensor:
        return _Log1mExp.apply(x)
