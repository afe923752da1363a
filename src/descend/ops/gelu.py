"""The Gaussian error linear unit, exact."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class GELU(Op):
    """y = x Φ(x), Φ the normal distribution function (Hendrycks & Gimpel 2016, section 2)."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.gelu(x)
