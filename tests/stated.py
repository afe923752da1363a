"""The numbers that a method states, for tests that give them in several forms."""

import copy
import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils._pytree import tree_map

Leaf = tuple[str | int, ...]


def as_tensors(tree: Any) -> Any:
    """Numbers as float64 tensors, which is what they are in a traced step."""
    number = lambda x: torch.tensor(x, dtype=torch.float64) if isinstance(x, float) else x  # noqa: E731
    return tree_map(number, tree)


def numbers(method: Any) -> Iterator[tuple[Leaf, float]]:
    """The fields annotated float, and the elements of those that are tuples of them."""
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if isinstance(value, tuple):
            yield from (((field.name, i), item) for i, item in enumerate(value))
        elif float in (hint := typing.get_type_hints(type(method))[field.name], *typing.get_args(hint)):
            yield (field.name,), value


def at(method: Any, numbers: dict[Leaf, Any], checked: bool = False) -> Any:
    """A copy with other numbers: as its constructor takes them, or as a sweep puts tensors there, without checks."""
    fields = {leaf[0]: getattr(method, leaf[0]) for leaf in numbers}
    for (name, *index), value in numbers.items():
        old = fields[name]
        fields[name] = tuple(value if i == index[0] else item for i, item in enumerate(old)) if index else value
    if checked:
        return dataclasses.replace(method, **fields)
    changed = copy.copy(method)
    for name, value in fields.items():
        object.__setattr__(changed, name, value)
    return changed


def stated_in_tensors(method: Any) -> Any:
    """A copy with every number a 0-d float64 tensor, those of methods inside it too."""
    changed = at(method, as_tensors(dict(numbers(method))))
    for field in dataclasses.fields(method):
        if dataclasses.is_dataclass(inside := getattr(method, field.name)):
            object.__setattr__(changed, field.name, stated_in_tensors(inside))
    return changed
