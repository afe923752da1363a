"""A user's function as a subject of the audit: `module:function`, without a class around it."""

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from descend.audit.subjects import Subject
from descend.errors import ConfigurationError
from descend.types import Loss, Params

NUMBERS = 3
"""Entries of an argument whose shape is not given."""


def function_subject(name: str, at: Sequence[float] | None, generator: torch.Generator) -> Subject:
    """The function that `module:function` names, of as many vectors [3] as it needs, drawn twice from [−1, 1].

    A value that is not a scalar is weighted and summed; see `weighted`.

    Args:
        at: the entries of each argument, where they are not to be drawn.

    Raises:
        ConfigurationError: where there is no such function, or it takes no argument.
    """
    function = _imported(name)
    names = _arguments(name, function)
    points = [_point(names, at, generator) for _ in range(1 if at else 2)]
    return Subject(name, weighted(function, names), points, None)


def weighted(function: Callable[..., Any], names: Sequence[str]) -> Loss:
    """The function of named parameters; of a value t with axes, Σ w t + (Σ w t)²/2 with weights from 0.5 to 1.5."""

    def loss(params: Params) -> Tensor:
        value = function(*(params[name] for name in names))
        if not isinstance(value, Tensor):
            raise ConfigurationError(f"The function returned {type(value).__name__}, and a derivative needs a tensor.")
        if value.dim() == 0:
            return value
        weights = torch.linspace(0.5, 1.5, value.numel(), dtype=value.dtype, device=value.device)
        total = torch.dot(weights, value.reshape(-1))
        return total + total * total / 2

    return loss


def _imported(name: str) -> Callable[..., Any]:
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
    except ImportError as error:
        raise ConfigurationError(
            f"{name} cannot be audited: {type(error).__name__}: {error}. Give the module as Python imports it from "
            "this folder, and the function after a colon: mine:loss."
        ) from error
    for part in path.split("."):
        if not hasattr(found, part):
            raise ConfigurationError(
                f"{name} cannot be audited: {module} has no {path}. Name a function of that module."
            )
        found = getattr(found, part)
    if not callable(found):
        raise ConfigurationError(f"{name} is {type(found).__name__}, and only what can be called has a derivative.")
    return found


def _arguments(name: str, function: Callable[..., Any]) -> list[str]:
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # torch's own functions, written in C, do not tell
        return ["x"]
    needed = [each.name for each in parameters if each.kind in positional and each.default is inspect.Parameter.empty]
    if not needed:
        raise ConfigurationError(f"{name} takes no argument that has to be given, so there is nothing to derive it by.")
    return needed


def _point(names: Sequence[str], at: Sequence[float] | None, generator: torch.Generator) -> Params:
    def drawn() -> Tensor:
        if at is not None:
            return torch.tensor(at, dtype=torch.float64, device=generator.device)
        unit = torch.rand(NUMBERS, generator=generator, dtype=torch.float64, device=generator.device)
        return 2 * unit - 1

    return {name: drawn() for name in names}
