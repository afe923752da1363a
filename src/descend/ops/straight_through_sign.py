"""The sign that lets the gradient through near zero."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.ops.elementwise import Elementwise
from descend.ops.op import Op, scalar_like


class _StraightThroughSign(Elementwise):
    @staticmethod
    def forward(x: Tensor, window: Tensor) -> Tensor:
        return torch.sign(x)

    @staticmethod
    def derivative(x: Tensor, y: Tensor, window: Tensor) -> Tensor:
        return (x.abs() <= window).to(x.dtype)


@dataclass(frozen=True)
class StraightThroughSign(Op):
    """y = sign x, 0 at 0; its derivative is taken to be 1 where |x| ≤ `window` and 0 beyond.

    Hubara et al. 2016, "Binarized Neural Networks", equation 4, where the window is 1.
    """

    window: float = 1.0

    declines_gradcheck: ClassVar[str | None] = (
        "The derivative of the sign is 0 almost everywhere; a straight-through estimator takes it to be 1 near 0."
    )

    def __post_init__(self) -> None:
        check_number(self, "window", above=0)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (-self.window, self.window)

    def __call__(self, x: Tensor) -> Tensor:
        return _StraightThroughSign.apply(x, scalar_like(self.window, x))
