"""Torch's fused functions from operations that can be differentiated any number of times, for the nested routes."""

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
    """Within it, normalisations and attention are computed from elementary operations, whoever calls them.

    Layer, batch and instance normalisation are wrong from the third derivative on as torch has them; group
    normalisation is right but refuses to be differentiated in batches, and fused attention to be twice.
    """
    with sdpa_kernel(SDPBackend.MATH), _Replaced(FROM_THE_SECOND | FROM_THE_THIRD):
        yield


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within it, what torch has wrong from the second derivative on is computed otherwise, or refused.

    Weight normalisation is said over again. Spectral normalisation in training holds the singular vectors constant,
    which is right to the first order alone; what its second derivative is depends on how far they have converged.
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
        """Raise for the image of a vector, by a matrix that is differentiated, that is kept for the next iteration."""
        if func is F.normalize and kwargs.get("out") is not None and any(args[0] is image for image in self._images):
            raise ConfigurationError(
                "A second derivative was asked for through spectral_norm in training, which holds the singular vectors "
                "constant: it would be wrong. Put the module in eval mode (module.eval()), where the vectors are "
                "constants and the derivative is right, or divide by torch.linalg.matrix_norm(weight, 2)."
            )


def _differentiated(x: Tensor) -> bool:
    with torch.enable_grad():  # without it, a series answers as a constant
        return x.requires_grad


FROM_THE_SECOND: dict[Callable, Callable] = {fused_weight_norm: weight_norm}
"""By torch's function, what is called in its place from the second derivative on; other files add theirs."""
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
"""From the third on, besides those."""
