"""The smooth ReLU."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.ops.op import Op


@dataclass(frozen=True)
class Softplus(Op):
    """y = log(1 + exp x) (Dugas et al. 2001, section 3).

    Written as −logsigmoid(−x): `torch.nn.functional.softplus` returns x itself beyond x = 20, where its derivative
    is then off by 2e-9 and its second derivative is 0.
    """

    def __call__(self, x: Tensor) -> Tensor:
        return -torch.nn.functional.logsigmoid(-x)
