"""The sine as an activation."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class Sin(Op):
    """y = sin x.

    Sitzmann et al. 2020, "Implicit Neural Representations with Periodic Activation Functions", section 3.
    """

    def __call__(self, x: Tensor) -> Tensor:
        return torch.sin(x)
