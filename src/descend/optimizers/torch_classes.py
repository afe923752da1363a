"""Which classes of torch.optim, and of libraries made like it, the adapter can run, and why not the others."""

import difflib
import functools
import importlib
import inspect
from collections.abc import Mapping
from typing import Any, TypeGuard

import torch

from descend.checks import check_value
from descend.errors import ConfigurationError
from descend.optimizers.torch_state import RESERVED

WRAPPED = ("optimizer", "base_optimizer")
"""Arguments by which a class takes another optimizer, whose steps it changes."""


@functools.cache
def resolve(name: str) -> Any:
    """Return the optimizer class of a name, which without a dot is one of torch.optim.

    Raises:
        ConfigurationError: there is none, or the adapter cannot run it.
    """
    module, _, attribute = name.rpartition(".")
    try:
        home = importlib.import_module(module or "torch.optim")
    except ImportError as error:
        raise ConfigurationError(
            f"optimizer.name is {name!r}, but {module} cannot be imported ({error}); install it "
            "(pytorch_optimizer comes with pip install 'descend[optimizers]'), or name a class of torch.optim."
        ) from error
    found = getattr(home, attribute, None)
    if is_method(found):
        why = obstacle(found)
        if why is None:
            return found
        raise ConfigurationError(f"optimizer.name is {name!r}, but {why}.")
    known = {n.lower(): n for n, value in vars(home).items() if is_method(value) and obstacle(value) is None}
    nearest = [known[n] for n in difflib.get_close_matches(attribute.lower(), known, n=3)]
    choices = ", ".join(sorted(known.values()))
    meant = f"did you mean {' or '.join(nearest)}?" if nearest else f"choose one of {choices}."
    raise ConfigurationError(f"optimizer.name is {name!r}, but {home.__name__} has no such optimizer; {meant}")


@functools.cache
def arguments_of(name: str) -> Mapping[str, inspect.Parameter]:
    """Return the arguments that the class of a name takes."""
    return inspect.signature(resolve(name)).parameters


def is_method(value: Any) -> TypeGuard[type[torch.optim.Optimizer]]:
    """Tell whether a value is an optimizer class with a step of its own."""
    return (
        inspect.isclass(value)
        and issubclass(value, torch.optim.Optimizer)
        and value.step is not torch.optim.Optimizer.step
    )


def obstacle(method: type[torch.optim.Optimizer]) -> str | None:
    """Return why a class cannot be run by the adapter as far as its arguments tell; None where nothing forbids it."""
    accepted = inspect.signature(method).parameters
    wrapped = next((name for name in WRAPPED if name in accepted), None)
    if wrapped is not None:
        return (
            f"it is no method by itself: it changes the steps of another optimizer, its argument {wrapped!r}, "
            "and the adapter makes one optimizer alone; name the class that it would wrap"
        )
    if "params" not in accepted:
        return (
            f"it takes a {next(iter(accepted))} where others take parameters, and an objective here is a function of "
            "its parameters; choose another class"
        )
    if "lr" not in accepted:
        return (
            "it has no argument 'lr': it finds the length of its steps by itself, and a learning rate or a schedule "
            "would have no effect; choose another class"
        )
    return None


MOST_ITERATIONS = 10_000
"""Of LBFGS inside one step: more would keep a step from ending for hours."""


def check_iterations(name: str, options: Mapping[str, Any]) -> None:
    """Require that a step of LBFGS may move, and that it ends.

    Its line search may take `max_eval` evaluations less one, and by default `max_eval` is 5/4 of `max_iter`.

    Raises:
        ConfigurationError: `max_iter` is out of range, or leaves the line search no evaluation, so that it never moves.
    """
    if name.rpartition(".")[2] != "LBFGS":
        return
    iterations = options.get("max_iter", 20)
    check_value("optimizer.options.max_iter", iterations, at_least=1, at_most=MOST_ITERATIONS)
    evaluations = options.get("max_eval")
    evaluations = int(iterations) * 5 // 4 if evaluations is None else evaluations
    check_value("optimizer.options.max_eval", evaluations, at_least=1)
    if evaluations <= 1 and options.get("line_search_fn") is not None:
        raise ConfigurationError(
            f"optimizer.options allows LBFGS {evaluations} evaluation in a step (max_eval, or 5/4 of max_iter), which "
            "leaves its line search none: it never leaves the start; set max_iter to 2 or more."
        )


def check_options(name: str, options: Mapping[str, Any], accepted: Mapping[str, inspect.Parameter]) -> None:
    """Require that the class takes every option."""
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in accepted.values()):
        return
    known = [option for option in accepted if option not in RESERVED]
    for option in options:
        if option not in known:
            raise ConfigurationError(
                f"optimizer.options has {option!r}, but {name} takes only {', '.join(known)}; rename or remove it."
            )
