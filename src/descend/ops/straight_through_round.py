"""Rounding that lets the gradient through."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.ops.elementwise import Elementwise
from descend.ops.op import Op


class _StraightThroughRound(Elementwise):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def derivative(x: Tensor, y: Tensor) -> Tensor:
        return torch.ones_like(x)


@dataclass(frozen=True)
class StraightThroughRound(Op):
    """y = x rounded to the nearest integer, halves to even; its derivative is taken to be 1.

    The straight-through estimator of Bengio, Léonard & Courville 2013, "Estimating or Propagating Gradients Through
    Stochastic Neurons for Conditional Computation", section 4.
    """

    declines_gradcheck: ClassVar[str | None] = (
        "The derivative of rounding is 0 almost everywhere; a straight-through estimator takes it to be 1 by design."
    )

    def __call__(self, x: Tensor) -> Tensor:
        return _StraightThroughRound.apply(x)
