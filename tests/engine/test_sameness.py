"""What hangs on an object counts, whether or not it is a field."""

import functools
from dataclasses import dataclass
from typing import Any

import torch

from descend.engine.sameness import same


@dataclass(frozen=True)
class Derives:
    depth: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "twice", 2 * self.depth)


@dataclass(frozen=True)
class Closes:
    depth: float = 1.0

    def __post_init__(self) -> None:
        depth = self.depth
        object.__setattr__(self, "call", lambda x: depth * x)


def moved(owner: object, **changes: float) -> object:
    for name, value in changes.items():
        object.__setattr__(owner, name, value)
    return owner


def test_equal_objects_are_the_same() -> None:
    for make in (Derives, Closes):
        assert same(make(2.0), make(2.0))
        assert not same(make(1.0), make(2.0))


def test_what_was_derived_from_a_number_is_noticed() -> None:
    for make in (Derives, Closes):
        assert moved(make(1.0), depth=2.0) == make(2.0)  # so says the dataclass
        assert not same(moved(make(1.0), depth=2.0), make(2.0))


def test_tensors_functions_and_loops() -> None:
    assert same({"x": torch.ones(3)}, {"x": torch.ones(3)})
    assert not same({"x": torch.ones(3)}, {"x": torch.ones(3, dtype=torch.float64)})
    assert not same(torch.ones(2), torch.zeros(2))
    assert same(functools.partial(max, 1), functools.partial(max, 1))
    assert not same(functools.partial(max, 1), functools.partial(max, 2))
    a: list[Any] = [1]
    b: list[Any] = [1]
    a.append(a)
    b.append(b)
    assert same(a, b)
    assert same(float("nan"), float("nan"))
    assert not same(1, 1.0)
