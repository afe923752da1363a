"""A function of many parameters, restricted to a few directions, where every derivative is a small tensor."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.types import Loss, Params

Function = Callable[[Tensor], Tensor]
"""Of a vector s [d]; the audited one gives a scalar [], its k-th derivative a tensor [d, …, d] with k axes."""


def orthonormal(params: Params, most: int, generator: torch.Generator) -> Tensor:
    """Orthonormal columns [n, d]: the coordinates themselves where n ≤ `most`, else `most` random directions."""
    like = ravel(params)
    size = len(like)
    if size <= most:
        return torch.eye(size, dtype=like.dtype, device=like.device)
    drawn = torch.randn(size, most, generator=generator, dtype=like.dtype, device=generator.device)
    return torch.linalg.qr(drawn.to(like.device)).Q


@dataclass(frozen=True)
class Restricted:
    """s [d] ↦ loss(params + columns·s): its derivatives at s = 0 are those of `loss` along the columns [n, d].

    Every fault of a transform on the whole shows here too, as s enters every parameter.
    """

    loss: Loss
    params: Params
    columns: Tensor

    def at(self, s: Tensor) -> Params:
        """The parameters that s stands for."""
        return unravel(ravel(self.params) + self.columns @ s, self.params)

    @property
    def origin(self) -> Tensor:
        """s = 0."""
        return torch.zeros(self.columns.shape[1], dtype=self.columns.dtype, device=self.columns.device)

    def __call__(self, s: Tensor) -> Tensor:
        return self.loss(self.at(s))
