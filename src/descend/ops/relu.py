"""The rectified linear unit of torch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class ReLU(Op):
    """y = max(x, 0), with derivative 0 at 0, as in `torch.relu`."""

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0,)

    def __call__(self, x: Tensor) -> Tensor:
        return torch.relu(x)
