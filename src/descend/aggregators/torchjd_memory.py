"""What a method of torchjd remembers from step to step, as plain dicts of tensors and numbers, and back.

It stands in buffers and attributes of modules, together with a note on the size, dtype and device it was made for.
"""

from typing import Any

import torch
from torch import Tensor

from descend.graph.compat import buffers
from descend.types import State

# What every module has.
COMMON = frozenset(vars(torch.nn.Module()))

DTYPE, DEVICE = "<dtype>", "<device>"


def remembered(method: Any, pristine: Any) -> State:
    """Return what in a method of torchjd, and the methods inside it, is another than in one that was just made."""
    found: dict[str, State] = {}
    for (path, module), (_, new) in zip(method.named_modules(), pristine.named_modules(), strict=True):
        kept = {name: x for name, x in buffers(module).items() if x is not None}
        changed = {
            name: encoded(x)
            for name, x in vars(module).items()
            if name not in COMMON and encodable(x) and not same_memory(x, vars(new).get(name))
        }
        if kept or changed:
            found[path] = {"buffers": kept, "own": changed}
    return found


def same_memory(x: Any, before: Any) -> bool:
    if isinstance(x, Tensor):
        return isinstance(before, Tensor) and torch.equal(x, before)
    return type(x) is type(before) and x == before


def recall(method: Any, memory: State) -> None:
    """Put what `remembered` returned into a method that was just made; the memory itself is not changed."""
    for path, module in method.named_modules():
        if path in memory:
            buffers(module).update({name: copied(x) for name, x in memory[path]["buffers"].items()})
            vars(module).update({name: decoded(x) for name, x in memory[path]["own"].items()})


def copied(x: Any) -> Any:
    return x.clone() if isinstance(x, Tensor) else x


def encodable(x: Any) -> bool:
    """Tell whether a value can be noted."""
    if isinstance(x, tuple):
        return all(encodable(item) for item in x)
    return x is None or isinstance(x, bool | int | float | Tensor | torch.dtype | torch.device)


def encoded(x: Any) -> Any:
    """Return a value as a checkpoint holds it: the name of a dtype or device, marked."""
    if isinstance(x, tuple):
        return tuple(encoded(item) for item in x)
    if isinstance(x, torch.dtype):
        return {DTYPE: str(x).removeprefix("torch.")}
    return {DEVICE: str(x)} if isinstance(x, torch.device) else x


def decoded(x: Any) -> Any:
    """Return what `encoded` was given, tensors on memory of their own."""
    if isinstance(x, tuple):
        return tuple(decoded(item) for item in x)
    if isinstance(x, dict):
        [(mark, name)] = x.items()
        return getattr(torch, name) if mark == DTYPE else torch.device(name)
    return copied(x)
