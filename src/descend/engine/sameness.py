"""Whether two objects are alike in everything that hangs on them, fields or not.

A dataclass compares its fields alone. What it derived when it was made (an attribute, a closure, a tensor) is compared
here too, so that a number that reaches a step by another way than its own field is noticed.
"""

import dataclasses
import functools
import types
import weakref
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
    if isinstance(a, weakref.ref):  # which compares what it refers to, tensors even
        return same(a(), b(), seen)
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
    if (state := kept(a)) is not None:
        return same(state, kept(b), seen)
    return bool(a == b)


def kept(owner: Any) -> dict[str, Any] | None:
    """Return what an object keeps by name, in slots too; None where it is a value, which can be compared itself.

    What a `cached_property` was asked for is left out: it is made again from the rest.
    """
    slots = [slot for kind in type(owner).__mro__ for slot in slots_of(kind)]
    state = {name: getattr(owner, name) for name in slots if hasattr(owner, name)} | dict(
        getattr(owner, "__dict__", {})
    )
    for name in cached_properties(type(owner)):
        state.pop(name, None)
    return state if state or dataclasses.is_dataclass(owner) else None


def slots_of(kind: type) -> tuple[str, ...]:
    """Return the names of a class's own slots; those that are private as Python keeps them."""
    slots = vars(kind).get("__slots__", ())
    private = f"_{kind.__name__.lstrip('_')}"
    every = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(private + x if x.startswith("__") and not x.endswith("__") else x for x in every)


def cached_properties(kind: type) -> tuple[str, ...]:
    """Return the names of a class's cached properties."""
    every = {name: x for base in reversed(kind.__mro__) for name, x in vars(base).items()}
    return tuple(name for name, x in every.items() if isinstance(x, functools.cached_property))


def same_function(a: Any, b: Any, seen: set[tuple[int, int]]) -> bool:
    """Tell whether two functions have the same code and hold the same values."""
    if isinstance(a, functools.partial):
        return same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords), seen)
    if isinstance(a, types.MethodType):
        return same((a.__func__, a.__self__), (b.__func__, b.__self__), seen)
    held = [[cell.cell_contents for cell in f.__closure__ or ()] for f in (a, b)]
    defaults = [(f.__defaults__, f.__kwdefaults__) for f in (a, b)]
    return a.__code__ == b.__code__ and same(held[0], held[1], seen) and same(defaults[0], defaults[1], seen)
