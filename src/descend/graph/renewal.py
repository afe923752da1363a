"""Computations that run at some steps only, because they cost more than the rest of a step: eigenvectors, say."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from descend.graph.recorder import OneCall, as_one_node

Renewal = Callable[..., tuple[Tensor, ...]]
"""(*old, *others) -> the new tensors."""


def renewed_where(renew: Renewal, due: Tensor, old: tuple[Tensor, ...], *others: Tensor) -> tuple[Tensor, ...]:
    """Return renew(*old, *others) where `due`, a bool [], is true, and `old` where it is not.

    A recorded step has no `if`; `torch.where` would compute both at every step. A GPU waits here for `due`.

    Args:
        renew: pure, to tensors of the shapes and dtypes of `old`.
    """
    found: tuple[Tensor, ...] = as_one_node(Renewed(renew, len(old)), due, *old, *others)
    return found


class Renewed(OneCall):
    """`renew` as one call; the first `count` of its tensors are the old ones."""

    def __init__(self, renew: Renewal, count: int) -> None:
        self._renew, self._count = renew, count
        self.__name__ = "renewal"
        self.described = "computes eigenvectors, or the like, at some steps only, which is an `if` on a tensor"

    def __call__(self, due: Tensor, *tensors: Tensor) -> Any:
        # Tensors that are not renewed are copied: a node owns its outputs, and a later node may write into them.
        # On the meta device only the shapes matter, and `due` has no value.
        return self._renew(*tensors) if due.is_meta or due else tuple(x.clone() for x in tensors[: self._count])
