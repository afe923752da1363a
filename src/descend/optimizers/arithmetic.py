"""The few elementwise forms that update rules are made of.

Each takes a scale that is a Python number in a run of its own, where torch's fused kernel saves memory traffic, and a
0-d tensor in a stacked sweep or a traced step, where the plain formula is fused by the compiler. Such a tensor is
float64 and is cast first: it would otherwise turn a float32 parameter of shape [] into float64.
"""

from torch import Tensor, lerp

from descend.scalars import Scalar


def cast(scale: Scalar, x: Tensor) -> Scalar:
    """The scale, a tensor in the precision of x."""
    return scale.to(x.dtype) if isinstance(scale, Tensor) else scale


def scaled(x: Tensor, scale: Scalar) -> Tensor:
    """scale · x."""
    return x * cast(scale, x)


def add_scaled(x: Tensor, y: Tensor, scale: Scalar) -> Tensor:
    """x + scale · y."""
    return x + scale.to(x.dtype) * y if isinstance(scale, Tensor) else x.add(y, alpha=scale)


def add_quotient(x: Tensor, y: Tensor, z: Tensor, scale: Scalar) -> Tensor:
    """x + scale · y / z."""
    return x + scale.to(x.dtype) * (y / z) if isinstance(scale, Tensor) else x.addcdiv(y, z, value=scale)


def moving_average(average: Tensor, new: Tensor, decay: Scalar) -> Tensor:
    """decay · average + (1 − decay) · new."""
    if isinstance(decay, Tensor):
        return scaled(average, decay) + scaled(new, 1 - decay)
    return lerp(average, new, 1 - decay)


def moving_square(average: Tensor, new: Tensor, decay: Scalar) -> Tensor:
    """decay · average + (1 − decay) · new²."""
    if isinstance(decay, Tensor):
        return scaled(average, decay) + scaled(new, 1 - decay) * new
    return (average * decay).addcmul_(new, new, value=1 - decay)


def root_plus(square: Tensor, epsilon: Scalar) -> Tensor:
    """√square + ε, on memory of its own."""
    return square.sqrt().add_(epsilon)
