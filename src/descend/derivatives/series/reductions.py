"""Products, variances and norms over axes, rewritten in sums and products."""

import math
from typing import Any

import torch
from torch import Tensor

from descend.derivatives.series.rules import decomposition, functions_named


@decomposition(*functions_named("prod"))
def prod(x: Tensor, dim: int | None = None, keepdim: bool = False, *, dtype: torch.dtype | None = None) -> Tensor:
    """Product along an axis, or of all entries, computed by halves: log2(n) products."""
    if x.dim() == 0:
        return x
    x = (x.flatten() if dim is None else x.movedim(dim, 0)).to(dtype or x.dtype)
    while x.shape[0] > 1:
        half = x.shape[0] // 2
        product = x[:half] * x[half : 2 * half]
        x = torch.cat([product, x[2 * half :]]) if x.shape[0] % 2 else product
    return x.movedim(0, dim) if keepdim and dim is not None else x[0]


@decomposition(*functions_named("var"))
def var(x: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """Σ (x − mean)² / (n − correction)."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    axes = tuple(range(x.dim())) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    count = math.prod(x.shape[axis] for axis in axes)
    correction = int(unbiased) if correction is None else correction
    return ((x - x.mean(axes, keepdim=True)) ** 2).sum(axes, keepdim) / (count - correction)


@decomposition(*functions_named("std"))
def std(x: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Tensor:
    """√ var."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return torch.sqrt(
        torch.var(x, dim=dim, correction=int(unbiased) if correction is None else correction, keepdim=keepdim)
    )


@decomposition(torch.linalg.vector_norm)
def vector_norm(
    x: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """(Σ |x|ᵖ)^(1/p), p = ord; the greatest or least |x| for p = ±∞."""
    x = x if dtype is None else x.to(dtype)
    axes = () if dim is None else dim
    if ord == 2:
        return torch.sqrt((x * x).sum(dim, keepdim))
    if ord == 0:
        return torch.linalg.vector_norm(x.detach(), 0, dim, keepdim)
    magnitude = torch.abs(x)
    if math.isinf(ord):
        return torch.amax(magnitude, axes, keepdim) if ord > 0 else torch.amin(magnitude, axes, keepdim)
    return magnitude.sum(dim, keepdim) if ord == 1 else (magnitude**ord).sum(dim, keepdim) ** (1 / ord)


@decomposition(*functions_named("norm"))
def norm_rule(
    x: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """The norm of all entries as one vector; the nuclear norm of a matrix has no series."""
    if p == "nuc":
        return NotImplemented
    return torch.linalg.vector_norm(x, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


@decomposition(*functions_named("normalize"))
def normalize(x: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x / max(‖x‖, eps)."""
    return x / torch.clamp_min(torch.linalg.vector_norm(x, p, dim, keepdim=True), eps)
