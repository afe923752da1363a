"""Torch's fused functions from operations that can be differentiated any number of times, for the nested routes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from descend.derivatives.series.normalisation import (
    batch_norm,
    batch_norm_reordered,
    group_norm,
    instance_norm,
    instance_norm_reordered,
    layer_norm,
)


@contextmanager
def decomposed() -> Iterator[None]:
    """Within it, normalisations and attention are computed from elementary operations, whoever calls them.

    Layer, batch and instance normalisation are wrong from the third derivative on as torch has them; group
    normalisation is right but refuses to be differentiated in batches, and fused attention to be twice.
    """
    with sdpa_kernel(SDPBackend.MATH), _Decomposed():
        yield


class _Decomposed(TorchFunctionMode):
    def __torch_function__(
        self, func: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return _FUSED.get(func, func)(*args, **(kwargs or {}))


_FUSED = {
    F.layer_norm: layer_norm,
    torch.layer_norm: layer_norm,
    F.group_norm: group_norm,
    torch.group_norm: group_norm,
    F.batch_norm: batch_norm,
    torch.batch_norm: batch_norm_reordered,
    F.instance_norm: instance_norm,
    torch.instance_norm: instance_norm_reordered,
}
