"""All that an optimizer object carries to its next step, as plain containers, tensors and numbers, and back.

A class keeps its memory in four places: `state` by parameter, `state` under names of its own, the numbers of its group,
and attributes or what an overridden `state_dict` adds. A checkpoint must hold them all, and be loadable with
`weights_only=True`: tensors, numbers, text, lists, tuples and dicts are kept as they are, the rest is marked.
"""

import functools
import importlib
import inspect
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from descend.graph.compat import clones, pytree
from descend.types import Params, State

# Given by the adapter itself.
RESERVED = ("params", "lr")

PARTS = ("entries", "own", "group", "attributes", "added")

DEQUE, PARAMETER, BY_PARAMETER, DTYPE = "<deque>", "<parameter>", "<by parameter>", "<dtype>"
MEMBER, OBJECT = "<member>", "<object>"
"""Marks: a dict with one of them as its only key stands for what no plain container says."""


class Names:
    """What a saved state calls the parameters, and whose objects it may hold.

    Args:
        points: the parameters by name.
        package: the library of the optimizer.
    """

    def __init__(self, points: Params, package: str) -> None:
        self.of = {id(leaf): name for name, leaf in points.items()}
        self.package = package


class NotPlain(Exception):
    """A class keeps an object that is no container, tensor or number."""


def saved_state(optimizer: Any, points: Params, options: Mapping[str, Any]) -> State:
    """Return what an optimizer carries to its next step.

    Args:
        points: the parameters that it was made for, by name.
        options: the arguments of its class, which making it anew gives again.

    Raises:
        NotPlain: it keeps something that cannot be saved.
    """
    names = Names(points, type(optimizer).__module__.partition(".")[0])
    own = {key: x for key, x in optimizer.state.items() if id(key) not in names.of}
    [group] = optimizer.param_groups
    numbers = {name: x for name, x in group.items() if name not in RESERVED and not isinstance(x, str)}
    added = optimizer.state_dict() if overrides(optimizer, "state_dict") else {}
    return {
        "entries": {name: encode(dict(optimizer.state.get(leaf, {})), names) for name, leaf in points.items()},
        "own": encode(own, names),
        "group": encode(numbers, names),
        "attributes": attributes(optimizer, names, options),
        "added": encode({key: x for key, x in added.items() if key not in ("state", "param_groups")}, names),
    }


def restore(optimizer: Any, points: Params, state: State) -> None:
    """Put a saved state into an optimizer that was just made; the state is copied."""
    package = type(optimizer).__module__.partition(".")[0]
    carried = {part: decode(state[part], points, package) for part in PARTS}
    if carried["added"]:
        optimizer.load_state_dict(optimizer.state_dict() | carried["added"])
    optimizer.state.clear()
    for name, leaf in points.items():
        if carried["entries"][name]:
            optimizer.state[leaf] = carried["entries"][name]
    optimizer.state.update(carried["own"])
    optimizer.param_groups[0].update(carried["group"])
    vars(optimizer).update(carried["attributes"])


@functools.cache
def common() -> frozenset[str]:
    """Return the attributes that every optimizer has; making one imports torch's compiler, so not before it is due."""
    return frozenset(vars(torch.optim.SGD([torch.zeros(1, dtype=torch.float32, device="cpu")])))


def overrides(optimizer: Any, method: str) -> bool:
    """Tell whether a class has its own form of a method of every optimizer."""
    return getattr(type(optimizer), method) is not getattr(torch.optim.Optimizer, method)


def attributes(optimizer: Any, names: Names, options: Mapping[str, Any]) -> State:
    """Return an optimizer's own attributes that are plain; others are tools, which making it anew makes again."""
    found = {}
    for name, value in vars(optimizer).items():
        if name not in common() and name not in options:
            with suppress(NotPlain):
                encoded = encode(value, names)
                if not all(isinstance(x, str) for x in pytree.tree_leaves(encoded)):  # text and lists of the parameters
                    found[name] = encoded
    return found


def encode(value: Any, names: Names) -> Any:
    """Return a value with marks for what is not plain.

    Raises:
        NotPlain: naming the type of an object without a mark.
    """
    if isinstance(value, Tensor):
        return {PARAMETER: names.of[id(value)]} if id(value) in names.of else value.detach()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Enum):
        return {MEMBER: (type(value).__module__, type(value).__qualname__, value.name)}
    if isinstance(value, torch.dtype):
        return {DTYPE: str(value).removeprefix("torch.")}
    if isinstance(value, deque):
        return {DEQUE: ([encode(x, names) for x in value], value.maxlen)}
    if isinstance(value, list | tuple):
        return type(value)([encode(x, names) for x in value])
    if isinstance(value, dict):
        return encode_dict(value, names)
    kind = type(value)
    if (
        kind.__module__.partition(".")[0] != names.package
        or names.package == torch.__name__
        or not hasattr(value, "__dict__")
    ):
        raise NotPlain(f"it keeps a {kind.__module__}.{kind.__qualname__}, which no checkpoint can hold")
    return {OBJECT: (kind.__module__, kind.__qualname__, encode(vars(value), names))}


def encode_dict(value: dict[Any, Any], names: Names) -> dict[str, Any]:
    """Return a dict with text or numbers for keys."""
    if value and all(isinstance(key, Tensor) and id(key) in names.of for key in value):
        return {BY_PARAMETER: {names.of[id(key)]: encode(x, names) for key, x in value.items()}}
    if not all(type(key) in (bool, int, float, str) for key in value):
        raise NotPlain("it keeps a dict whose keys are neither text nor numbers, which no checkpoint can hold")
    return {key: encode(x, names) for key, x in value.items()}


def decode(value: Any, points: Params, package: str, copies: dict[int, Tensor] | None = None) -> Any:
    """Return what `encode` was given, on memory of its own; what was one tensor in two places stays one.

    Args:
        package: the library whose objects may be made again; a checkpoint names no other.
    """
    if copies is None:
        tensors = list({id(x): x for x in pytree.tree_leaves(value) if isinstance(x, Tensor)}.values())
        copies = {id(x): copy for x, copy in zip(tensors, clones(tensors), strict=True)}

    def within(x: Any) -> Any:
        return decode(x, points, package, copies)

    if isinstance(value, Tensor):
        return copies[id(value)]
    if isinstance(value, list | tuple):
        return type(value)([within(x) for x in value])
    if not isinstance(value, dict):
        return value
    mark = next(iter(value), None)
    if mark == PARAMETER:
        return points[value[mark]]
    if mark == DTYPE:
        return getattr(torch, value[mark])
    if mark == DEQUE:
        entries, longest = value[mark]
        return deque(within(entries), longest)
    if mark == BY_PARAMETER:
        return {points[name]: within(x) for name, x in value[mark].items()}
    if mark == MEMBER:
        module, name, member = value[mark]
        return own_class(package, module, name)[member]
    if mark == OBJECT:
        module, name, fields = value[mark]
        found = object.__new__(own_class(package, module, name))
        vars(found).update(within(fields))
        return found
    return {key: within(x) for key, x in value.items()}


def own_class(package: str, module: str, name: str) -> Any:
    """Return a class of an optimizer's own library.

    Raises:
        NotPlain: the checkpoint names a class of another library, or none.
    """
    found = getattr(importlib.import_module(module), name, None) if module.partition(".")[0] == package else None
    if not inspect.isclass(found):
        raise NotPlain(f"the checkpoint holds a {module}.{name}, which is no class of {package}")
    return found
