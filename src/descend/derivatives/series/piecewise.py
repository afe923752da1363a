"""Functions made of smooth pieces: x_0 selects the piece, whose series is right everywhere except on the kinks.

On a kink the result continues torch's own first derivative: 0 for relu, abs and hardtanh, equal shares for ties.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series.rules import decomposition, functions_named


@decomposition(*functions_named("relu"))
def relu(x: Tensor, inplace: bool = False) -> Tensor:
    """x where x > 0."""
    return x * (x > 0)


@decomposition(*functions_named("abs", "absolute", "__abs__"))
def sign_times(x: Tensor) -> Tensor:
    """x sign(x); of complex numbers √(re² + im²)."""
    if x.is_complex():
        parts = torch.view_as_real(x)
        return torch.sqrt((parts * parts).sum(-1))
    return x * torch.sign(x)


@decomposition(*functions_named("leaky_relu"))
def leaky_relu(x: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """x where x > 0, negative_slope x elsewhere."""
    return torch.where(x > 0, x, negative_slope * x)


@decomposition(*functions_named("prelu"))
def prelu(x: Tensor, weight: Tensor) -> Tensor:
    """leaky_relu with a learnt slope for each channel."""
    slope = weight.reshape(-1, *[1] * (x.dim() - 2)) if x.dim() > 1 else weight.reshape(())
    return torch.where(x > 0, x, slope * x)


@decomposition(*functions_named("threshold"))
def threshold(x: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """x where x > threshold, value elsewhere."""
    return torch.where(x > threshold, x, torch.full_like(x, value))


@decomposition(*functions_named("hardtanh"))
def hardtanh(x: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """x between its bounds, constant outside and on them."""
    inside = (x > min_val) & (x < max_val)
    return torch.where(inside, x, torch.clamp(x.detach(), min_val, max_val))


@decomposition(*functions_named("relu6"))
def relu6(x: Tensor, inplace: bool = False) -> Tensor:
    """x between 0 and 6."""
    return hardtanh(x, 0.0, 6.0)


@decomposition(*functions_named("clamp", "clip"))
def clamp(x: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """x within its bounds, bounds included."""
    x = x if min is None else torch.where(x < min, min, x)
    return x if max is None else torch.where(x > max, max, x)


@decomposition(*functions_named("clamp_min"))
def clamp_min(x: Tensor, min: Any) -> Tensor:
    """The greater of x and `min`."""
    return torch.where(x < min, min, x)


@decomposition(*functions_named("clamp_max"))
def clamp_max(x: Tensor, max: Any) -> Tensor:
    """The lesser of x and `max`."""
    return torch.where(x > max, max, x)


@decomposition(*functions_named("maximum", "fmax"))
def maximum(x: Tensor, other: Tensor) -> Tensor:
    """The greater of two; their mean where equal."""
    return torch.where(x > other, x, torch.where(x < other, other, (x + other) / 2))


@decomposition(*functions_named("minimum", "fmin"))
def minimum(x: Tensor, other: Tensor) -> Tensor:
    """The lesser of two; their mean where equal."""
    return -torch.maximum(-x, -other)


@decomposition(*functions_named("amax"))
def amax(x: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The mean of all entries equal to the greatest along some axes."""
    chosen = (x == torch.amax(x.detach(), dim, keepdim=True)).to(x.dtype)
    axes = tuple(range(x.dim())) if not isinstance(dim, int) and len(dim) == 0 else dim
    return (x * chosen).sum(axes, keepdim) / chosen.sum(axes, keepdim)


@decomposition(*functions_named("amin"))
def amin(x: Tensor, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The mean of all entries equal to the least along some axes."""
    return -torch.amax(-x, dim, keepdim)


@decomposition(*functions_named("max"))
def maximal(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """All three of torch's forms: the greatest entry, the greatest along an axis with its index, or of two tensors."""
    if dim is None:
        return torch.amax(x)
    return torch.maximum(x, dim) if isinstance(dim, Tensor) else _selected(x, torch.max(x.detach(), dim, keepdim), dim)


@decomposition(*functions_named("min"))
def minimal(x: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """All three of torch's forms: the least entry, the least along an axis with its index, or of two tensors."""
    if dim is None:
        return torch.amin(x)
    return torch.minimum(x, dim) if isinstance(dim, Tensor) else _selected(x, torch.min(x.detach(), dim, keepdim), dim)


@decomposition(*functions_named("sort"))
def sort(x: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Entries in order, with their indices."""
    return _selected(x, torch.sort(x.detach(), stable=stable, dim=dim, descending=descending), dim)


@decomposition(*functions_named("topk"))
def topk(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Any:
    """The k greatest entries, with their indices."""
    return _selected(x, torch.topk(x.detach(), k, dim, largest, sorted), dim)


def _max_pool(axes: int) -> Callable[..., Tensor]:
    pool = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}[axes]

    def max_pool(x: Tensor, kernel_size: Any, *args: Any, return_indices: bool = False, **kwargs: Any) -> Tensor:
        """The entries of x where x_0 is greatest in each window."""
        _, indices = pool(x.detach(), kernel_size, *args, return_indices=True, **kwargs)
        chosen = torch.gather(x.flatten(-axes), -1, indices.flatten(-axes))
        return chosen.reshape(indices.shape)

    return max_pool


for axes in (1, 2, 3):
    decomposition(*functions_named(f"max_pool{axes}d"))(_max_pool(axes))


def _selected(x: Tensor, found: Any, dim: int) -> Any:
    """The entries of x at found.indices, in the same named tuple torch returned for x_0."""
    values, indices = found
    kept = values.dim() == x.dim()
    taken = torch.gather(x, dim, indices if kept else indices.unsqueeze(dim))
    return type(found)((taken if kept else taken.squeeze(dim), indices))
