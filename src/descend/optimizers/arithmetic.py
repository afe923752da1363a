"""The few elementwise forms that update rules are made of.

Each takes a scale that is a Python number or a 0-d float64 tensor. It becomes a 0-d tensor in the precision of the
parameter, and the same fused operation follows: few passes over memory, and the same bits for both. The operations are
those that round an entry the same wherever it lies in memory; `add(alpha=)`, `addcdiv(value=)` and `pow` do not.
"""

import torch
from torch import Tensor

from descend.scalars import Scalar, cast
from descend.types import Params


def state_number(value: float, params: Params) -> Tensor:
    """A number of the state that is a tensor from the start, float64 [], where the parameters are."""
    return torch.tensor(value, dtype=torch.float64, device=next(iter(params.values())).device)


def scaled(x: Tensor, scale: Scalar) -> Tensor:
    """scale · x."""
    return x * cast(scale, x)


def add_scaled(x: Tensor, y: Tensor, scale: Scalar) -> Tensor:
    """x + scale · y."""
    return torch.addcmul(x, cast(scale, x), y)


def add_quotient(x: Tensor, y: Tensor, z: Tensor, scale: Scalar) -> Tensor:
    """x + scale · (y / z)."""
    return add_scaled(x, y / z, scale)


def moving_average(average: Tensor, new: Tensor, decay: Scalar) -> Tensor:
    """decay · average + (1 − decay) · new."""
    return torch.lerp(average, new, cast(1 - decay, new))


def moving_square(average: Tensor, new: Tensor, decay: Scalar) -> Tensor:
    """decay · average + (1 − decay) · new²."""
    return moving_average(average, new * new, decay)


def root_plus(square: Tensor, epsilon: Scalar) -> Tensor:
    """√square + ε, on memory of its own."""
    return square.sqrt().add_(cast(epsilon, square))
