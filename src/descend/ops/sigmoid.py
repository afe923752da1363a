"""The logistic function."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class Sigmoid(Op):
    """y = 1 / (1 + exp(−x))."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)
