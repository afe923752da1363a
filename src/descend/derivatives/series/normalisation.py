"""Normalisation layers in sums and products.

Torch's fused layer and batch normalisation give wrong derivatives from the third on, even by nested reverse mode
(pytorch#175754, #186256; 42 to 93% off). Rewritten in sums and products they are right in every order, so the series
and nested differentiation (`fused.py`) both use these definitions. They do not update running statistics: looking at a
derivative must not change the model.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series.rules import decomposition
from descend.errors import ConfigurationError
from descend.graph.compat import fused_weight_norm


def _standardise(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred * torch.rsqrt((centred * centred).mean(axes, keepdim=True) + eps)


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def _channels(parameter: Tensor | None, x: Tensor) -> Tensor | None:
    return None if parameter is None else parameter.reshape(-1, *[1] * (x.dim() - 2))


def _tracked(statistic: Tensor | None, x: Tensor) -> Tensor:
    if statistic is None:
        raise ConfigurationError(
            "A normalisation that is not in training found no running statistics to use; give it running_mean and "
            "running_var, or training=True."
        )
    return statistic.reshape(-1, *[1] * (x.dim() - 2))


@decomposition(torch.layer_norm, F.layer_norm)
def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Tensor:
    """Ba, Kiros & Hinton (2016), eq. 4, over the last len(normalized_shape) axes."""
    return _affine(_standardise(x, tuple(range(-len(normalized_shape), 0)), eps), weight, bias)


@decomposition(torch.rms_norm, F.rms_norm)
def rms_norm(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Tensor:
    """x / √(mean x² + eps), Zhang & Sennrich (2019), eq. 4."""
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    axes = tuple(range(-len(normalized_shape), 0))
    return _affine(x * torch.rsqrt((x * x).mean(axes, keepdim=True) + eps), weight, None)


@decomposition(torch.group_norm, F.group_norm)
def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Wu & He (2018), eq. 1 and 7."""
    grouped = x.reshape(x.shape[0], num_groups, -1)
    return _affine(_standardise(grouped, (2,), eps).reshape(x.shape), _channels(weight, x), _channels(bias, x))


@decomposition(F.batch_norm)
def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Ioffe & Szegedy (2015), Algorithm 1; with running statistics when not training."""
    if training:
        standard = _standardise(x, (0, *range(2, x.dim())), eps)
    else:
        mean, variance = _tracked(running_mean, x), _tracked(running_var, x)
        standard = (x - mean) * torch.rsqrt(variance + eps)
    return _affine(standard, _channels(weight, x), _channels(bias, x))


@decomposition(F.instance_norm)
def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Ulyanov, Vedaldi & Lempitsky (2016), eq. 2; with running statistics unless `use_input_stats`."""
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    return _affine(_standardise(x, tuple(range(2, x.dim())), eps), _channels(weight, x), _channels(bias, x))


@decomposition(fused_weight_norm)
def weight_norm(v: Tensor, g: Tensor, dim: int = 0) -> Tensor:
    """g v / ‖v‖, Salimans & Kingma (2016), eq. 2, the norm over all axes but `dim`; over all for dim = −1.

    Torch's fused kernel holds the norms constant from the second derivative on.
    """
    axes = tuple(range(v.dim())) if dim == -1 else tuple(axis for axis in range(v.dim()) if axis != dim)
    return v * (g * torch.rsqrt((v * v).sum(axes, keepdim=True)))


@decomposition(torch.batch_norm)
def batch_norm_reordered(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """torch.batch_norm, whose arguments come in another order than those of torch.nn.functional."""
    return batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


@decomposition(torch.instance_norm)
def instance_norm_reordered(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = True,
) -> Tensor:
    """torch.instance_norm, whose arguments come in another order than those of torch.nn.functional."""
    return instance_norm(x, running_mean, running_var, weight, bias, use_input_stats, momentum, eps)
