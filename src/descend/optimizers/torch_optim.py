"""The adapter: any class of torch.optim, or of a library made like it, one run at a time.

The only file where `.backward()`, `.grad` and `.item()` have a place.
"""

import difflib
import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeGuard

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params, State

# Given by the adapter itself, so not options.
RESERVED = ("params", "lr")


@dataclass(frozen=True)
class TorchOptim(Optimizer):
    """The update of the class `name`, made pure: each step fills a fresh optimizer with copies of state and parameters.

    The state is what torch saves in a `state_dict`: for each parameter its entries, and the numbers of the group. What
    a class keeps elsewhere starts anew at each step, as it would after loading a checkpoint.

    Args:
        lr: learning rate, > 0; None takes the class's default.
        name: a class of torch.optim (LBFGS, Adafactor, …), or the full name of one elsewhere (pytorch_optimizer.Lion).
        options: the other arguments of that class by name.

    Raises:
        ConfigurationError: no such class; no such option; the class refuses a value, or dense gradients.
    """

    batchable: ClassVar[bool] = False

    lr: float | None = None  # type: ignore[assignment]
    name: str = "Adafactor"
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        found = resolve(self.name)
        accepted = inspect.signature(found).parameters
        check_options(self.name, self.options or {}, accepted)
        if self.lr is None:
            object.__setattr__(self, "lr", accepted["lr"].default)
        check_number(self, "lr", above=0)
        # One step on one entry tells what only the class knows: which values it refuses, and whether it is for sparse
        # gradients alone.
        entry = {"entry": torch.zeros(1, 1, dtype=torch.float32, device="cpu")}
        try:
            self.step(entry, entry, self.init(entry), lambda params: params["entry"].sum())
        except ConfigurationError:
            raise
        except Exception as error:  # a class of another library may raise anything
            raise ConfigurationError(self.refusal(error)) from error

    @property
    def line_search(self) -> bool:
        return (self.options or {}).get("line_search_fn") is not None

    def init(self, params: Params) -> State:
        try:
            return saved(self.build(leaves(params)), tuple(params))
        except Exception as error:  # likewise
            raise ConfigurationError(self.refusal(error)) from error

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        points = leaves(params)
        optimizer = self.build(points)
        carried = tree_map_only(Tensor, torch.clone, state)
        for name, leaf in points.items():
            leaf.grad = gradients[name].clone()
            optimizer.state[leaf] = carried["entries"][name]
        optimizer.param_groups[0].update(carried["group"])
        if needs_closure(self.name):
            optimizer.step(evaluation(points, loss))
        else:
            optimizer.step()
        return {name: leaf.detach() for name, leaf in points.items()}, saved(optimizer, tuple(params))

    def build(self, points: Params) -> torch.optim.Optimizer:
        return resolve(self.name)(list(points.values()), lr=self.lr, **(self.options or {}))

    def refusal(self, error: Exception) -> str:
        chosen = ", ".join(f"{name}={value}" for name, value in {"lr": self.lr, **(self.options or {})}.items())
        return (
            f"{self.name} cannot optimize these parameters with {chosen}: {str(error).rstrip('.')}; "
            "change that option, or choose another optimizer."
        )


@functools.cache
def resolve(name: str) -> Any:
    """Return the optimizer class of a name, which without a dot is one of torch.optim."""
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
        return found
    known = {n.lower(): n for n, value in vars(home).items() if is_method(value)}
    nearest = [known[n] for n in difflib.get_close_matches(attribute.lower(), known, n=3)]
    choices = ", ".join(sorted(known.values()))
    meant = f"did you mean {' or '.join(nearest)}?" if nearest else f"choose one of {choices}."
    raise ConfigurationError(f"optimizer.name is {name!r}, but {home.__name__} has no such optimizer; {meant}")


def is_method(value: Any) -> TypeGuard[type[torch.optim.Optimizer]]:
    """Tell whether a value is an optimizer class that can be run: one with a step and a learning rate of its own."""
    return (
        inspect.isclass(value)
        and issubclass(value, torch.optim.Optimizer)
        and value.step is not torch.optim.Optimizer.step
        and "lr" in inspect.signature(value).parameters
    )


@functools.cache
def needs_closure(name: str) -> bool:
    """Tell whether `step` demands the closure that evaluates the loss; given it, others would waste an evaluation."""
    closure = inspect.signature(resolve(name).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


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


def leaves(params: Params) -> Params:
    """Return copies of the parameters that an optimizer may change."""
    return {name: x.detach().clone().requires_grad_() for name, x in params.items()}


def saved(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> State:
    """Return what an optimizer carries to its next step: its entries by parameter, and the numbers of its group.

    Text there is an option, which `build` gives anew.
    """
    group = optimizer.param_groups[0]
    entries = {name: dict(optimizer.state.get(leaf, {})) for name, leaf in zip(names, group["params"], strict=True)}
    numbers = {name: x for name, x in group.items() if name not in RESERVED and not isinstance(x, str)}
    return {"entries": entries, "group": numbers}


def evaluation(points: Params, loss: Loss) -> Callable[[], Any]:
    """Return the closure that methods with a line search call: sets the gradients and returns the loss."""

    def closure() -> Tensor:
        with torch.enable_grad():
            value = loss(points)
            gradients = torch.autograd.grad(value, tuple(points.values()), materialize_grads=True, allow_unused=True)
        for leaf, gradient in zip(points.values(), gradients, strict=True):
            leaf.grad = gradient
        return value.detach()

    return closure
