"""Torch's fused functions, rewritten in operations that can be differentiated any number of times, for nesting."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from descend.derivatives.series.normalisation import (
    batch_norm,
    batch_norm_reordered,
    group_norm,
    instance_norm,
    instance_norm_reordered,
    layer_norm,
    weight_norm,
)
from descend.errors import ConfigurationError
from descend.graph.compat import fused_weight_norm


@contextmanager
def decomposed() -> Iterator[None]:
    """In this context normalisations and attention are computed from elementary operations, whoever calls them.

    Torch's layer, batch and instance normalisation are wrong from the third derivative on. Its group normalisation is
    right but cannot be differentiated in batches, and its fused attention cannot be differentiated twice.
    """
    with sdpa_kernel(SDPBackend.MATH), _Replaced(FROM_THE_SECOND | FROM_THE_THIRD):
        yield


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """In this context functions that torch differentiates wrongly from order 2 on are rewritten, or refused.

    Weight normalisation is rewritten. Spectral normalisation in training is refused: it holds the singular vectors
    constant, which is right to the first order alone, and its second derivative depends on how far they have converged.
    """
    with _Replaced(FROM_THE_SECOND):
        yield


class _Replaced(TorchFunctionMode):
    """Calls other functions in place of torch's, and refuses the power iteration of spectral normalisation."""

    def __init__(self, others: dict[Callable, Callable]) -> None:
        super().__init__()
        self._others = others
        self._images: list[Tensor] = []

    def __torch_function__(
        self, func: Callable, types: tuple[type, ...], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not torch.is_grad_enabled():
            self._refuse_power_iteration(func, args, kwargs)
        other = func if kwargs.get("inplace") else self._others.get(func, func)
        result = other(*args, **kwargs)
        if func is torch.mv and not torch.is_grad_enabled() and _differentiated(args[0]):
            self._images.append(result)
        return result

    def _refuse_power_iteration(self, func: Callable, args: tuple, kwargs: dict[str, Any]) -> None:
        """Raise where the product of a differentiated matrix and a vector is normalised for the next iteration."""
        if func is F.normalize and kwargs.get("out") is not None and any(args[0] is image for image in self._images):
            raise ConfigurationError(
                "A second derivative was asked for through spectral_norm in training, which holds the singular vectors "
                "constant: it would be wrong. Put the module in eval mode (module.eval()), where the vectors are "
                "constants and the derivative is right, or divide by torch.linalg.matrix_norm(weight, 2)."
            )


def _differentiated(x: Tensor) -> bool:
    with torch.enable_grad():  # with grad mode off a series counts as a constant
        return x.requires_grad


FROM_THE_SECOND: dict[Callable, Callable] = {fused_weight_norm: weight_norm}
"""For each of torch's functions, the one called in its place from the second derivative on; other files add theirs."""
FROM_THE_THIRD: dict[Callable, Callable] = {
    F.layer_norm: layer_norm,
    torch.layer_norm: layer_norm,
    F.group_norm: group_norm,
    torch.group_norm: group_norm,
    F.batch_norm: batch_norm,
    torch.batch_norm: batch_norm_reordered,
    F.instance_norm: instance_norm,
    torch.instance_norm: instance_norm_reordered,
}
"""The same from the third derivative on, in addition."""
