"""Whether, and how, an operation on coefficients goes through its autograd.Function."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from descend.graph.compat import in_transform


def differentiated(*tensors: Tensor) -> bool:
    """Whether autograd records what happens to one of `tensors`, so that a Function must say how to go back.

    The series of an outer expansion counts too: the Function is intercepted whole (custom_function.py).
    """
    recording = torch.is_grad_enabled()
    return any(type(x) is not Tensor or (recording and x.requires_grad) for x in tensors)


def applied(function: type[Function], *args: Any) -> Any:
    """`function.apply`, without the inspection of its signature that costs as much as a small product."""
    if in_transform():
        return function.apply(*args)
    return super(Function, function).apply(*args)  # type: ignore[misc]  # torch has it from C, without stubs
