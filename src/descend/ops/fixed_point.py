"""A layer defined by an equation, differentiated through the equation and not through its solution."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.elementwise import Elementwise
from descend.ops.op import Op, scalar_like

NEWTON_STEPS = 24
"""Enough for |weight| ≤ 1 − 1e-6: some 17 steps take off a third each, then five double the digits."""


class _FixedPoint(Elementwise):
    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Tensor:
        # In u = weight·z + x the equation is u = weight·tanh(u) + x. Starting on the side of the root where the curve
        # bends towards it, Newton's steps are monotone, so a fixed number of them serves every x, and they batch.
        u = torch.sign(x) * torch.relu(x.abs() + weight)
        for _ in range(NEWTON_STEPS):
            z = torch.tanh(u)
            u = u - (u - weight * z - x) / (1 - weight * (1 - z * z))
        return torch.tanh(u)

    @staticmethod
    def derivative(x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        slope = 1 - z * z
        return slope / (1 - weight * slope)


@dataclass(frozen=True)
class FixedPoint(Op):
    """The z that solves z = tanh(`weight`·z + x), to rounding; |weight| < 1 makes it the only one.

    By the implicit function theorem dz/dx = s / (1 − weight·s) with s = 1 − z², written in z itself, so that the
    derivative of every order follows from it and no iteration is differentiated (Bai, Kolter & Koltun 2019, "Deep
    Equilibrium Models", theorem 1).
    """

    weight: float = 0.5

    def __post_init__(self) -> None:
        check_number(self, "weight", above=-1, below=1)

    def __call__(self, x: Tensor) -> Tensor:
        return _FixedPoint.apply(x, scalar_like(self.weight, x))
