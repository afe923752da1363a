"""The sigmoid linear unit, or swish."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class SiLU(Op):
    """y = x / (1 + exp(−x)) (Elfwing, Uchibe & Doya 2018, section 2)."""

    def __call__(self, x: Tensor) -> Tensor:
        return torch.nn.functional.silu(x)
