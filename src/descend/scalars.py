"""Arithmetic on numbers that are Python's in a run of its own and 0-d tensors in a stacked or traced one.

Both give the same result to rounding; whole numbers become float64 first, because torch would make float32 of them.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Scalar = float | Tensor


def is_zero(x: Scalar) -> bool:
    """Tell whether a term is switched off for good; a tensor never is, its value being unknown while tracing."""
    return not isinstance(x, Tensor) and x == 0


def real(x: Scalar) -> Scalar:
    """x as a float, or as a float64 tensor."""
    return x.to(torch.float64) if isinstance(x, Tensor) else float(x)


def at_least(x: Scalar, bound: float) -> Scalar:
    """max(x, bound)."""
    return x.clamp(min=bound) if isinstance(x, Tensor) else max(x, bound)


def cosine(x: Scalar) -> Scalar:
    """cos x, x in radians."""
    return x.cos() if isinstance(x, Tensor) else math.cos(x)


def choose(condition: bool | Tensor, yes: Callable[[], Any], no: Callable[[], Any]) -> Any:
    """yes() where the condition holds, no() elsewhere; a Python condition evaluates only the one it chooses."""
    if isinstance(condition, Tensor):
        return torch.where(condition, yes(), no())
    return yes() if condition else no()
