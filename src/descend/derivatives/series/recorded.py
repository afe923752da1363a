"""Decides whether an operation on coefficients needs its autograd.Function, and applies it."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from descend.graph.compat import in_transform


def differentiated(*tensors: Tensor) -> bool:
    """Whether autograd records operations on one of `tensors`, so that a Function must define the backward pass.

    The series of an outer expansion counts too: the Function is intercepted whole (custom_function.py).
    """
    recording = torch.is_grad_enabled()
    return any(type(x) is not Tensor or (recording and x.requires_grad) for x in tensors)


def applied(function: type[Function], *args: Any) -> Any:
    """`function.apply`, without the inspection of its signature that costs as much as a small product."""
    if in_transform():
        return function.apply(*args)
    return super(Function, function).apply(*args)  # type: ignore[misc]  # torch has it from C, without stubs
