"""The numbers that a method states, for tests that give them in several forms."""

import copy
import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_map

Leaf = tuple[str | int, ...]


def as_tensors(tree: Any) -> Any:
    """Numbers as float64 tensors, which is what they are in a traced step."""
    number = lambda x: torch.tensor(x, dtype=torch.float64) if isinstance(x, float) else x  # noqa: E731
    return tree_map(number, tree)


def numbers(method: Any) -> Iterator[tuple[Leaf, float]]:
    """The fields annotated float, the elements of those that are tuples of them, and those of methods inside it."""
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        inside = value if isinstance(value, Mapping) else {None: value}
        if all(map(dataclasses.is_dataclass, inside.values())):
            for name, part in inside.items():
                place = (field.name,) if name is None else (field.name, name)
                yield from (((*place, *leaf), x) for leaf, x in numbers(part))
        elif isinstance(value, tuple):
            yield from (((field.name, i), item) for i, item in enumerate(value) if not isinstance(item, str))
        elif float in (hint := typing.get_type_hints(type(method))[field.name], *typing.get_args(hint)):
            yield (field.name,), value


def at(method: Any, numbers: dict[Leaf, Any], checked: bool = False) -> Any:
    """A copy with other numbers: as its constructor takes them, or as a sweep puts tensors there, without checks."""
    if () in numbers:
        return numbers[()]
    inner: dict[Any, dict[Leaf, Any]] = {}
    for (first, *rest), value in numbers.items():
        inner.setdefault(first, {})[tuple(rest)] = value
    if isinstance(method, tuple):
        return tuple(at(item, inner[i]) if i in inner else item for i, item in enumerate(method))
    if isinstance(method, Mapping):
        return dict(method) | {name: at(method[name], own, checked) for name, own in inner.items()}
    fields = {name: at(getattr(method, name), own, checked) for name, own in inner.items()}
    if checked:
        return dataclasses.replace(method, **fields)
    changed = copy.copy(method)
    for name, value in fields.items():
        object.__setattr__(changed, name, value)
    return changed


def stated_in_tensors(method: Any) -> Any:
    """A copy with every number a 0-d float64 tensor, those of methods inside it too."""
    return at(method, as_tensors(dict(numbers(method))))
