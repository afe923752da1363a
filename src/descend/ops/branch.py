"""A branch that depends on data, with the right gradient on both sides."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class Branch(Op):
    """y = log x if x > 1, else x − 1: the logarithm, continued by its tangent where it would fall to −∞.

    y′ = 1/x or 1, y″ = −1/x² or 0. A Python `if` would serve one x; `torch.where` serves every element and run at
    once. It evaluates both sides, and its gradient multiplies the side not taken by 0, which is NaN where that side
    is infinite: so the logarithm gets 1 in place of every x that takes the other side.
    """

    @property
    def kinks(self) -> tuple[float, ...]:
        return (1.0,)

    def __call__(self, x: Tensor) -> Tensor:
        taken = x > 1
        return torch.where(taken, torch.log(torch.where(taken, x, 1.0)), x - 1)
