"""The ReLU that the guide writes as a custom Function (chapter 5.2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.elementwise import Elementwise
from descend.ops.op import Op


class _GuideReLU(Elementwise):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.clamp_min(x, 0.0)

    @staticmethod
    def derivative(x: Tensor, y: Tensor) -> Tensor:
        # The guide writes zeros through a boolean mask, which vmap refuses; this is the same product.
        return (x >= 0).to(x.dtype)


@dataclass(frozen=True)
class GuideReLU(Op):
    """y = max(x, 0), with derivative 1 at 0: the guide blocks x < 0 alone, where torch blocks x ≤ 0."""

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def __call__(self, x: Tensor) -> Tensor:
        return _GuideReLU.apply(x)
