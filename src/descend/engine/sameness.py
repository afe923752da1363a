"""Whether two objects are alike in everything that hangs on them, fields or not.

A dataclass compares its fields alone. What it derived when it was made (an attribute, a closure, a tensor) is compared
here too, so that a number that reaches a step by another way than its own field is noticed.
"""

import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def same(a: Any, b: Any, seen: set[tuple[int, int]] | None = None) -> bool:
    """Tell whether two objects are of one type and alike in all their parts; what cannot be looked into is not alike.

    Args:
        seen: pairs that are being compared already, for parts that refer back.
    """
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    seen = seen or set()
    if (id(a), id(b)) in seen:
        return True
    seen = seen | {(id(a), id(b))}
    if isinstance(a, Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, float):
        return a == b or (a != a and b != b)
    if isinstance(a, Mapping):
        return list(a) == list(b) and all(same(a[key], b[key], seen) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y, seen) for x, y in zip(a, b, strict=True))
    if callable(a) and isinstance(a, types.FunctionType | types.MethodType | functools.partial):
        return same_function(a, b, seen)
    state = vars(a) if hasattr(a, "__dict__") else None
    if state or dataclasses.is_dataclass(a):
        return same(state, vars(b), seen)
    return bool(a == b)


def same_function(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    """Tell whether two functions have the same code and hold the same values."""
    if isinstance(a, functools.partial):
        return same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords), seen)
    if isinstance(a, types.MethodType):
        return same((a.__func__, a.__self__), (b.__func__, b.__self__), seen)
    held = [[cell.cell_contents for cell in f.__closure__ or ()] for f in (a, b)]
    defaults = [(f.__defaults__, f.__kwdefaults__) for f in (a, b)]
    return a.__code__ == b.__code__ and same(held[0], held[1], seen) and same(defaults[0], defaults[1], seen)
