"""What is computed at some steps only, because it costs more than all else in a step: eigenvectors, say."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from descend.graph.recorder import OneCall, as_one_node

Renewal = Callable[..., tuple[Tensor, ...]]
"""Returns new tensors from the old ones, and others beside them."""


def seldom(renew: Renewal, due: Tensor, old: tuple[Tensor, ...], *others: Tensor) -> tuple[Tensor, ...]:
    """Return renew(*old, *others) where `due`, a bool [], is true, and `old` where it is not.

    A recorded step has no `if`; `torch.where` would compute both at every step. A GPU waits here for `due`.

    Args:
        renew: pure, to tensors of the shapes and dtypes of `old`.
    """
    found: tuple[Tensor, ...] = as_one_node(Seldom(renew, len(old)), due, *old, *others)
    return found


class Seldom(OneCall):
    """`renew` as a function of whether it is due, the first `count` of its tensors the old ones."""

    def __init__(self, renew: Renewal, count: int) -> None:
        self._renew, self._count = renew, count
        self.__name__ = "seldom"

    def __call__(self, due: Tensor, *tensors: Tensor) -> Any:
        # What is not renewed is copied: a node's outputs are memory of its own, which a later one may write into.
        # On the device meta only shapes are asked for, and `due` has no value.
        return self._renew(*tensors) if due.is_meta or due else tuple(x.clone() for x in tensors[: self._count])
