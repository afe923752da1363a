"""The hyperbolic tangent."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class Tanh(Op):
    """y = tanh x."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.tanh(x)
