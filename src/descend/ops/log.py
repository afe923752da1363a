"""The logarithm with its own derivative, which the guide's chapter 3.2 asks for."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.ops.elementwise import Elementwise
from descend.ops.op import Op


class _Log(Elementwise):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.log(x)

    @staticmethod
    def derivative(x: Tensor, y: Tensor) -> Tensor:
        return 1 / x


@dataclass(frozen=True)
class Log(Op):
    """y = log x for x > 0, NaN below, with the derivative 1/x written by hand.

    The guide passes 1/x as `gradient=` to `backward`, which multiplies torch's 1/x by it once more: 1/x². A
    derivative of one's own belongs inside the op.
    """

    domain: ClassVar[tuple[float, float]] = (0.1, 5.0)

    def __call__(self, x: Tensor) -> Tensor:
        return _Log.apply(x)
