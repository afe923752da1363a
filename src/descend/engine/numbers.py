"""The numbers of an experiment: what its program takes as inputs, so that they may differ from run to run."""

import copy
import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from descend.engine.experiment import Experiment
from descend.engine.sameness import cached_properties

Leaf = tuple[str | int, ...]
"""Where a number stands in an experiment: names of attributes and in mappings, and tuple indices, such as
("optimizer", "betas", 0)."""

PARTS = ("objective", "optimizer", "schedule", "clip", "aggregator")


def leaves(experiment: Experiment) -> dict[Leaf, float]:
    """Return every number that may be stacked: fields annotated `float` and elements of tuples of them, by place."""
    return {leaf: value for part in PARTS for leaf, value in _numbers((part,), getattr(experiment, part))}


def numbers_of(experiment: Experiment) -> dict[Leaf, float]:
    """Return the numbers that are inputs of the experiment's program: those that are not exactly 0."""
    return {leaf: value for leaf, value in leaves(experiment).items() if value != 0}


def with_leaves(experiment: Experiment, numbers: Mapping[Leaf, float | Tensor]) -> Experiment:
    """Return a copy with those numbers replaced, by 0-d tensors maybe, without its checks run again."""
    for leaf, value in numbers.items():
        experiment = _replaced(experiment, leaf, value)
    return experiment


def _numbers(place: Leaf, owner: Any) -> Iterator[tuple[Leaf, float]]:
    if not dataclasses.is_dataclass(owner):
        return  # a plain class tells of no fields: its numbers are structure
    hints = typing.get_type_hints(type(owner))
    for field in dataclasses.fields(owner):
        value, here = getattr(owner, field.name), (*place, field.name)
        if dataclasses.is_dataclass(value):
            yield from _numbers(here, value)
        elif isinstance(value, Mapping):
            for name, item in value.items():
                yield from _numbers((*here, name), item)
        elif isinstance(value, tuple | list) and _of_floats(hints[field.name]):
            yield from (((*here, i), float(item)) for i, item in enumerate(value))
        elif _is_number(value) and float in (hints[field.name], *typing.get_args(hints[field.name])):
            yield here, float(value)


def _of_floats(hint: Any) -> bool:
    return typing.get_origin(hint) is tuple and set(typing.get_args(hint)) <= {float, Ellipsis}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _replaced(owner: Any, leaf: Leaf, value: float | Tensor) -> Any:
    if not leaf:
        return value
    name, *rest = leaf
    if isinstance(name, int):
        return type(owner)(_replaced(item, tuple(rest), value) if i == name else item for i, item in enumerate(owner))
    if isinstance(owner, Mapping):
        return {**owner, name: _replaced(owner[name], tuple(rest), value)}
    changed = copy.copy(owner)
    for derived in cached_properties(type(owner)):  # made of the number that is replaced, maybe
        vars(changed).pop(derived, None)
    object.__setattr__(changed, name, _replaced(getattr(owner, name), tuple(rest), value))
    return changed
