"""The few elementwise forms that update rules are made of.

Each takes a scale that is a Python number in a run of its own, where torch's fused kernel saves memory traffic, and a
0-d tensor in a stacked sweep or a traced step, where the plain formula is fused by the compiler.
"""

from torch import Tensor, lerp

Scale = float | Tensor


def is_zero(scale: Scale) -> bool:
    """Tell whether a term is switched off for good; a tensor never is, its value being unknown while tracing."""
    return not isinstance(scale, Tensor) and scale == 0


def add_scaled(x: Tensor, y: Tensor, scale: Scale) -> Tensor:
    """x + scale · y."""
    return x + scale * y if isinstance(scale, Tensor) else x.add(y, alpha=scale)


def add_quotient(x: Tensor, y: Tensor, z: Tensor, scale: Scale) -> Tensor:
    """x + scale · y / z."""
    return x + scale * (y / z) if isinstance(scale, Tensor) else x.addcdiv(y, z, value=scale)


def moving_average(average: Tensor, new: Tensor, decay: Scale) -> Tensor:
    """decay · average + (1 − decay) · new."""
    if isinstance(decay, Tensor):
        return decay * average + (1 - decay) * new
    return lerp(average, new, 1 - decay)


def moving_square(average: Tensor, new: Tensor, decay: Scale) -> Tensor:
    """decay · average + (1 − decay) · new²."""
    if isinstance(decay, Tensor):
        return decay * average + (1 - decay) * new * new
    return (average * decay).addcmul_(new, new, value=1 - decay)


def root_denominator(square: Tensor, correction: Scale, epsilon: Scale) -> Tensor:
    """√square / correction + ε, on memory of its own."""
    return square.sqrt().div_(correction).add_(epsilon)
