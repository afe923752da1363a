"""Views that torch describes by places in memory, as entries of a tensor.

`as_strided` counts from where the memory begins, not from where the tensor does. A run's part of a stack begins
elsewhere than the run's own tensor, so that it would read the entries of another run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from descend.errors import Untraceable
from descend.graph.compat import OpOverload
from descend.graph.recorder import unrecorded

aten = torch.ops.aten


def strided(x: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None) -> Tensor:
    """Return what `x.as_strided(size, stride, storage_offset)` shows, not as a view."""
    chosen = entries_shown(x, size, stride, storage_offset)
    if chosen.numel() == x.numel() and chosen.equal(torch.arange(x.numel(), dtype=torch.int64, device=x.device)):
        return x.reshape(size)
    return x.reshape(-1).index_select(0, chosen).view(size)


def strided_scatter(
    x: Tensor, source: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Tensor:
    """Return `x` after `source` was written into `x.as_strided(size, stride, storage_offset)`."""
    chosen = entries_shown(x, size, stride, storage_offset)
    return x.reshape(-1).index_copy(0, chosen, source.expand(size).reshape(-1)).view(x.shape)


def entries_shown(x: Tensor, size: Sequence[int], stride: Sequence[int], storage_offset: int | None) -> Tensor:
    """Return which entries of `x` a view shows, counted in the order of its indices: int64 [n].

    Raises:
        Untraceable: it shows memory that is not part of `x`.
    """
    with unrecorded():
        own = places(x.shape, x.stride(), 0)
        offset = 0 if storage_offset is None else storage_offset - int(x.storage_offset())
        wanted = places(size, stride, offset)
        length = int(torch.cat([own, wanted]).max()) + 1 if len(own) and len(wanted) else len(own)
        at = torch.full([length], -1, dtype=torch.int64, device="cpu")
        at[own] = torch.arange(x.numel(), dtype=torch.int64, device="cpu")
        chosen = at[wanted]
        if (wanted < 0).any() or (chosen < 0).any():
            raise Untraceable("a view by as_strided shows memory beside its tensor")
        return chosen.to(x.device)


def places(size: Sequence[int], stride: Sequence[int], offset: int) -> Tensor:
    """Return where in memory the entries of a tensor lie, counted from the tensor's first: int64 [n]."""
    found = torch.tensor([offset], dtype=torch.int64, device="cpu")
    for length, step in zip(size, stride, strict=True):
        found = (found[:, None] + torch.arange(length, dtype=torch.int64, device="cpu") * step).reshape(-1)
    return found


STRIDED: Mapping[OpOverload, Callable[..., Any]] = {
    aten.as_strided.default: strided,
    aten.as_strided_scatter.default: strided_scatter,
}
"""Operations of torch on places in memory, and what does the same with entries."""
