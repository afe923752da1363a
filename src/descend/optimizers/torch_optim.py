"""The adapter: any class of torch.optim, or of a library made like it, one run at a time.

The only file where `.backward()`, `.grad` and `.item()` have a place.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.devices import is_gpu
from descend.errors import ConfigurationError
from descend.graph import generators
from descend.graph.compat import clones
from descend.optimizers import torch_state
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.torch_classes import arguments_of, check_iterations, check_options, resolve
from descend.optimizers.torch_trial import Needs, Trial, changeable, squares
from descend.types import Loss, Params, State

KNOWN: dict[tuple[str, str], Needs] = {}
"""What was found of a class with its options, which no learning rate changes: a sweep makes thousands of adapters."""


@dataclass(frozen=True)
class TorchOptim(Optimizer):
    """The update of the class `name`, made pure: each step fills a fresh optimizer with copies of state and parameters.

    The state is all that the class carries: see `torch_state`. Methods that draw are lent the global generators as the
    run left them, seeded by its seed. What a class needs is found out by a few steps on four numbers when configured:
    the loss's closure, gradients with a graph; and that it makes the same steps here as in a loop of its own.

    Args:
        lr: learning rate, > 0; None takes the class's default.
        name: a class of torch.optim (LBFGS, Adafactor, …), or the full name of one elsewhere (pytorch_optimizer.Lion).
        options: the other arguments of that class by name.

    Attributes:
        needs: what a step must be given.

    Raises:
        ConfigurationError: no such class; no such option; the class refuses a value, or dense gradients, or keeps what
            cannot be saved.
    """

    batchable: ClassVar[bool] = False
    needs: ClassVar[Needs]

    lr: float | None = None  # type: ignore[assignment]
    name: str = "Adafactor"
    options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        accepted = arguments_of(self.name)
        check_options(self.name, self.options or {}, accepted)
        check_iterations(self.name, self.options or {})
        if self.lr is None:
            object.__setattr__(self, "lr", default_rate(self.name, accepted["lr"].default))
        check_number(self, "lr", above=0)
        chosen = (self.name, repr(self.options))
        trial = Trial(self, make_step)
        try:
            if chosen not in KNOWN:
                KNOWN[chosen] = trial.needs()
            object.__setattr__(self, "needs", KNOWN[chosen])
            trial.one_step()
        except ConfigurationError:
            raise
        except Exception as error:  # a class of another library may raise anything
            raise ConfigurationError(self.refusal(error)) from error

    @property
    def line_search(self) -> bool:
        return (self.options or {}).get("line_search_fn") is not None

    @property
    def rate(self) -> float:
        """The learning rate; a schedule makes a tensor of it."""
        return float(self.lr or 0.0)

    @property
    def draws(self) -> bool:
        """Whether steps may draw from the global generators; none of torch's own does."""
        return not resolve(self.name).__module__.startswith("torch.optim.")

    @property
    def seeds_itself(self) -> bool:
        return True

    def init(self, params: Params) -> State:
        return self.begin(params, 0)

    def begin(self, params: Params, seed: int) -> State:
        points = changeable(params)
        try:
            with self.own_generators(params):
                if self.draws:
                    generators.seed(seed)
                state = self.saved(self.build(points), points)
            if self.draws:  # a class of another library may refuse a shape or a dtype at its first step only
                ones = {name: torch.ones_like(x) for name, x in params.items()}
                self.step(params, ones, state, squares)
            return state
        except Exception as error:  # likewise
            raise ConfigurationError(self.refusal(error)) from error

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        points = changeable(params)
        with self.own_generators(params):
            optimizer = self.restored(points, state)
            optimizer.param_groups[0]["lr"] = learning_rate(self.rate, state["lr"])
            make_step(optimizer, points, gradients, loss, self.needs)
            after = self.saved(optimizer, points)
        return {name: leaf.detach() for name, leaf in points.items()}, after

    def reported(self, params: Params, state: State) -> Params:
        """Return the averages, of methods that train at one point and are to be evaluated at another."""
        if not hasattr(resolve(self.name), "eval") or not any(state["entries"].values()):
            return params
        points = changeable(params)
        with self.own_generators(params), torch.no_grad():
            self.restored(points, state).eval()
        return {name: leaf.detach() for name, leaf in points.items()}

    def build(self, points: Params) -> Any:
        method, options = resolve(self.name), self.options or {}
        # Some classes read numbers from the group that their constructor does not name, such as use_muon.
        own = {name: x for name, x in options.items() if name in arguments_of(self.name)}
        group = {name: x for name, x in options.items() if name not in own}
        optimizer = method([{"params": list(points.values()), **group}], lr=self.rate, **own)
        if len(optimizer.param_groups) > 1:
            raise ValueError("it divides the parameters into groups of its own")
        return optimizer

    def restored(self, points: Params, state: State) -> Any:
        """Return an optimizer made anew in the given state, and the generators likewise where it draws."""
        optimizer = self.build(points)
        torch_state.restore(optimizer, points, state)
        if self.draws:
            generators.restore_generators(state["random"], gpus(points))
        return optimizer

    def saved(self, optimizer: Any, points: Params) -> State:
        accepted = arguments_of(self.name)
        made = float(optimizer.param_groups[0].get("lr", self.rate))
        drawn = generators.generator_states(gpus(points)) if self.draws else {}
        carried = torch_state.saved_state(optimizer, points, accepted)
        return carried | {"lr": {"given": self.rate, "made": made}, "random": drawn}

    def own_generators(self, params: Params) -> AbstractContextManager[None]:
        """Keep the global generators, which a step may seed and draw from."""
        return generators.generators_kept(gpus(params)) if self.draws else nullcontext()

    def refusal(self, error: Exception) -> str:
        chosen = ", ".join(f"{name}={value}" for name, value in {"lr": self.lr, **(self.options or {})}.items())
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        return (
            f"{self.name} cannot optimize these parameters with {chosen}: {reason}; "
            "change that option, or choose another optimizer."
        )


def default_rate(name: str, default: Any) -> float:
    """Return the learning rate that a class takes by default.

    Raises:
        ConfigurationError: it has none.
    """
    if isinstance(default, int | float):
        return default
    raise ConfigurationError(f"optimizer.lr is not set, and {name} has no default for it; set optimizer.lr.")


def learning_rate(given: float, last: Mapping[str, float]) -> float:
    """Return the rate of a step: as given, times what the method itself has made of it so far."""
    if last["made"] == last["given"] or last["given"] == 0:
        return given
    return last["made"] if given == last["given"] else last["made"] * (given / last["given"])


def gpus(params: Params) -> list[torch.device]:
    """Return the GPUs on which the parameters lie."""
    return sorted({x.device for x in params.values() if is_gpu(x.device)}, key=str)


def differentiable(points: Params, loss: Loss, gradients: Params) -> Params:
    """Return the gradients that were given, clipped or not, with the graph of the loss's own behind them."""
    with torch.enable_grad():
        value = loss(points)
        found = torch.autograd.grad(value, tuple(points.values()), create_graph=True, materialize_grads=True)
        own = dict(zip(points, found, strict=True))
        return {name: own[name] + (given - own[name]).detach() for name, given in gradients.items()}


def make_step(optimizer: Any, points: Params, gradients: Params, loss: Loss, needs: Needs) -> None:
    """Move the points by one step of an optimizer that was made for them."""
    given = differentiable(points, loss, gradients) if needs.graph else gradients
    own = [given[name] for name in points]
    own = own if needs.graph else clones(own)
    for leaf, gradient in zip(points.values(), own, strict=True):
        leaf.grad = gradient
    if needs.closure or needs.value:
        optimizer.step(evaluation(points, loss, given=needs.value))
    else:
        optimizer.step()
    for leaf in points.values():
        leaf.grad = None  # else a gradient and its graph would keep each other alive


def evaluation(points: Params, loss: Loss, given: bool) -> Callable[[], Any]:
    """Return the closure that evaluates the loss: it sets the gradients and returns the value.

    Args:
        points: the leaves that the class moves.
        given: at the first call leave the gradients that the leaves have: they are those of this point, and may have
            been clipped.
    """

    def closure() -> Tensor:
        nonlocal given
        leave, given = given, False
        with torch.set_grad_enabled(not leave):
            value = loss(points)
        if not leave:
            gradients = torch.autograd.grad(value, tuple(points.values()), materialize_grads=True, allow_unused=True)
            for leaf, gradient in zip(points.values(), gradients, strict=True):
                leaf.grad = gradient
        return value.detach()

    return closure
