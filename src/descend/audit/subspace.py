"""A function of many parameters, restricted to a few directions, where every derivative is a small tensor."""

from collections.abc import Callable

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.types import Loss, Params

Function = Callable[[Tensor], Tensor]
"""Of a vector s [d]; the audited one gives a scalar [], its k-th derivative a tensor [d, …, d] with k axes."""


def directions(params: Params, most: int, generator: torch.Generator) -> Tensor:
    """Orthonormal columns [n, d]: the coordinates themselves where n ≤ `most`, else `most` random directions."""
    like = ravel(params)
    size = len(like)
    if size <= most:
        return torch.eye(size, dtype=like.dtype, device=like.device)
    drawn = torch.randn(size, most, generator=generator, dtype=like.dtype, device=generator.device)
    return torch.linalg.qr(drawn.to(like.device)).Q


def restrict(function: Loss, params: Params, columns: Tensor) -> Function:
    """s [d] ↦ function(params + columns·s): its derivatives at s = 0 are those of `function` along the columns.

    Every fault of a transform on the whole shows here too, as s enters every parameter.
    """
    start = ravel(params)

    def restricted(s: Tensor) -> Tensor:
        return function(unravel(start + columns @ s, params))

    return restricted
