"""Finds what a function holds constant on purpose: by detach, by no_grad, or by reading a number out of a tensor."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from descend.audit.subspace import Function
from descend.derivatives.series.rules import getter
from descend.graph.compat import DisableTorchFunction, pytree

DETACHING = (Tensor.detach, Tensor.detach_, torch.detach, torch.detach_, getter("data"))
READING = (Tensor.item, Tensor.tolist, Tensor.numpy, Tensor.__float__, Tensor.__array__)
NOT_THE_USERS = (Path(torch.__file__).parent, Path(__file__).parent, Path(__file__).parents[1] / "derivatives")
"""Folders of code that is not the user's own."""


class Diverged(Exception):
    """A function makes other constants at another point."""


class WithConstants:
    """A function that takes the constants of `at` at every point: the function that autograd differentiates.

    Attributes:
        places: where something is held constant, as file and line, in the order met.
        without_grad: whether no_grad holds some of it constant, which forward mode ignores.
    """

    def __init__(self, function: Function, at: Tensor) -> None:
        self._function = function
        self._made: list[Any] = []
        recording = _Recording(self._made)
        with recording, torch.enable_grad():
            function(at.detach().requires_grad_())
        self.places, self.without_grad = tuple(dict.fromkeys(recording.places)), recording.without_grad

    def __call__(self, s: Tensor) -> Tensor:
        s = s if s.requires_grad else s.detach().requires_grad_()
        with _Replaying(self._made), torch.enable_grad():
            return self._function(s)


class _Constants(TorchFunctionMode):
    """Passes every call that makes a constant of a differentiated tensor to `constant`.

    Calls inside a custom Function's own forward are left alone: autograd does not look there.
    """

    def __init__(self) -> None:
        super().__init__()
        self._forwards = {each.forward.__code__ for each in _functions() if hasattr(each.forward, "__code__")}

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}

        def call() -> Any:
            return func(*args, **kwargs)

        if not _makes_constant(func, args, kwargs) or self._in_a_forward():
            return call()
        return self.constant(func, call)

    def constant(self, func: Any, call: Callable[[], Any]) -> Any:
        raise NotImplementedError

    def _in_a_forward(self) -> bool:
        return any(frame.f_code in self._forwards for frame in _frames())


class _Recording(_Constants):
    """Records the constants that are made."""

    def __init__(self, made: list[Any]) -> None:
        super().__init__()
        self._made = made
        self.places: list[str] = []
        self.without_grad = False

    def constant(self, func: Any, call: Callable[[], Any]) -> Any:
        result = call()
        if func in READING or pytree.tree_any(lambda x: isinstance(x, Tensor), result):
            self._made.append((func, pytree.tree_map(_copied, result)))
            self.without_grad |= func not in (*DETACHING, *READING)
            self.places.append(_place())
        return result


class _Replaying(_Constants):
    """Returns the recorded constants, in their order."""

    def __init__(self, made: list[Any]) -> None:
        super().__init__()
        self._rest = iter(made)

    def constant(self, func: Any, call: Callable[[], Any]) -> Any:
        if func not in READING:
            result = call()
            if not pytree.tree_any(lambda x: isinstance(x, Tensor), result):
                return result
        before, value = next(self._rest, (None, None))
        if before is not func:
            raise Diverged("the function does not detach the same tensors at every point")
        return pytree.tree_map(_copied, value)


def _makes_constant(func: Any, args: tuple, kwargs: dict[str, Any]) -> bool:
    silent = func in DETACHING or func in READING or not torch.is_grad_enabled()
    return silent and any(_differentiated(x) for x in pytree.tree_leaves((args, kwargs)))


def _differentiated(x: Any) -> bool:
    with DisableTorchFunction():
        return isinstance(x, Tensor) and x.requires_grad


def _copied(x: Any) -> Any:
    return x.detach().clone() if isinstance(x, Tensor) else x


def _functions() -> Iterator[Any]:
    """Every custom Function that is defined by now."""
    rest = [torch.autograd.Function]
    while rest:
        function = rest.pop()
        rest.extend(function.__subclasses__())
        yield function


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place() -> str:
    """File and line of the user's code that made a constant."""
    for frame in _frames():
        path = Path(frame.f_code.co_filename)
        if not any(path.is_relative_to(folder) for folder in NOT_THE_USERS):
            return f"{path.name}, line {frame.f_lineno}"
    return ""
