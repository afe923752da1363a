"""Any method of torchjd that combines losses or their gradients, by its name there."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.gramian import gramian
from descend.aggregators.torchjd_extra import import_torchjd, weigh
from descend.aggregators.torchjd_memory import recall, remembered
from descend.devices import is_failure
from descend.errors import ConfigurationError
from descend.graph.chance import mixed, set_to
from descend.types import State

# Their directions take some entries from one gradient and some from another: no weights of the losses give them.
ENTRY_BY_ENTRY = ("GradDrop", "TrimmedMean")


@dataclass(frozen=True)
class TorchJD(Aggregator):
    """λ as a torchjd aggregator or weighting chooses it from G or J, or the gradient of a torchjd scalarizer.

    What a method draws depends on the run's seed and the step alone; what it remembers is in the state. MoDo
    and SDMGrad are given G of one batch, where their papers draw two: on the whole data, which is the same twice, that
    is their method; on batches it lacks their guarantee. GradDrop and TrimmedMean choose entry by entry: they have a
    direction and no weights.

    Args:
        name: name of a class of `torchjd.aggregation` or `torchjd.scalarization`; MoDo stands for MoDoWeighting.
        arguments: its arguments by name; lists become float64 tensors, and the name of a weighting its object.

    Attributes:
        method: the aggregator, weighting or scalarizer of torchjd, as it is before its first step.

    Raises:
        ConfigurationError: no such method, or its arguments are refused; by `init`, the number of losses.
    """

    batchable: ClassVar[bool] = False
    seeds_itself: ClassVar[bool] = True
    uses_jacobian: ClassVar[bool] = True
    method: ClassVar[Any]

    name: str = "UPGrad"
    arguments: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        methods = find_methods()
        method = methods.get(self.name)
        if method is None:
            raise ConfigurationError(
                f"TorchJD.name is {self.name!r}, but the methods of torchjd that can be used here are "
                f"{', '.join(sorted(methods))}; use one of these names."
            )
        try:
            arguments = {key: argument(key, value) for key, value in (self.arguments or {}).items()}
            object.__setattr__(self, "method", method(**arguments))
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigurationError(
                f"torchjd's {self.name} refused its arguments {self.arguments}: {error} "
                "Change aggregator.arguments, for example aggregator.arguments='{alpha: 1.0}'."
            ) from error

    @property
    def weighs(self) -> bool:
        return self.name not in ENTRY_BY_ENTRY

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        state = {"seed": 0, "step": 0, "memory": {}}
        some = torch.eye(len(losses), dtype=torch.float64, device="cpu")  # any gradients will do, to try their number
        combine = self.weights if self.weighs else self.direction
        try:
            combine(torch.ones_like(losses), lambda: some, state)
        except (ValueError, TypeError, IndexError, RuntimeError) as error:
            if is_failure(error):
                raise
            raise ConfigurationError(
                f"torchjd's {self.name} with {self.arguments or 'its defaults'} cannot combine {len(losses)} losses "
                f"({', '.join(names)}): {str(error).rstrip('.')}. Change aggregator.arguments, or the aggregator."
            ) from error
        return state

    def begin(self, losses: Tensor, names: tuple[str, ...], seed: int) -> State:
        return self.init(losses, names) | {"seed": seed}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        return self._called(lambda method: weights_by(method, losses, jacobian), state)

    def direction(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        rows = jacobian()
        return self._called(lambda method: weigh(method, rows, rows[0]), state)

    def _called(self, found: Callable[[Any], Tensor], state: State) -> tuple[Tensor, State]:
        """Return what the method gives, its memory and its draws those of the state, and the new state."""
        method = copy.deepcopy(self.method)
        recall(method, state["memory"])
        with set_to(mixed(state["seed"], state["step"]), devices=[]):  # the CPU's, where torchjd computes: no GPU's
            result = found(method)
        return result, state | {"step": state["step"] + 1, "memory": remembered(method, self.method)}


def weights_by(method: Any, losses: Tensor, jacobian: Callable[[], Tensor]) -> Tensor:
    """Return the weights [m] that a method of torchjd gives."""
    if hasattr(method, "gramian_weighting"):
        return weigh(method.gramian_weighting, gramian(jacobian()), losses)
    aggregation = import_torchjd("torchjd.aggregation", "torchjd")
    if isinstance(method, aggregation.WeightedAggregator):
        return weigh(method.weighting, jacobian(), losses)
    if isinstance(method, aggregation.Weighting):
        return weigh(method, gramian(jacobian()), losses)
    if isinstance(method, aggregation.Aggregator):
        return weigh(lambda rows: weights_of_direction(rows, method(rows)), jacobian(), losses)

    def gradient(values: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = values.requires_grad_()
            return torch.autograd.grad(method(leaf), leaf)[0]

    return weigh(gradient, losses, losses)


def weights_of_direction(rows: Tensor, direction: Tensor) -> Tensor:
    """Return the shortest λ [m] with Jᵀλ nearest to a direction [n] that is a combination of the gradients J [m, n]."""
    return torch.linalg.pinv(rows.mT) @ direction


def find_methods() -> dict[str, type]:
    """Return torchjd's methods by name: its aggregators, weightings and scalarizers.

    Left out are Nash-MTL and the scalarizers with parameters or a memory of their own; they have files here.
    """
    aggregation = import_torchjd("torchjd.aggregation", "torchjd")
    scalarization = import_torchjd("torchjd.scalarization", "torchjd")
    stateful = import_torchjd("torchjd", "torchjd").Stateful
    abstract = {"Scalarizer", "Aggregator", "WeightedAggregator", "GramianWeightedAggregator", "Weighting"}
    found = {name: getattr(scalarization, name) for name in scalarization.__all__ if name not in abstract}
    found = {name: method for name, method in found.items() if not issubclass(method, stateful)}
    named = {name: getattr(aggregation, name) for name in aggregation.__all__ if name not in abstract}
    weightings = {name.removesuffix("Weighting"): x for name, x in named.items() if name.endswith("Weighting")}
    aggregators = {name: x for name, x in named.items() if not name.endswith("Weighting")}
    every = found | weightings | aggregators
    return {name: method for name, method in every.items() if name != "NashMTL"}


def argument(name: str, value: Any) -> Any:
    """Return an argument as torchjd takes it.

    Raises:
        ValueError: a weighting of that name is none of torchjd's.
    """
    if name == "weighting":
        weighting = getattr(import_torchjd("torchjd.aggregation", "torchjd"), f"{value}Weighting", None)
        if weighting is None:
            raise ValueError(f"weighting is {value!r}, but it must be one of torchjd's by name: MGDA, UPGrad, Mean….")
        return weighting()
    if isinstance(value, list | tuple):
        return torch.tensor(value, dtype=torch.float64, device="cpu")
    return value
