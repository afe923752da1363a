"""Any method of torchjd that weighs the losses, by its name there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.gramian import gramian
from descend.aggregators.torchjd_extra import import_torchjd, weigh
from descend.errors import ConfigurationError
from descend.types import State


@dataclass(frozen=True)
class TorchJD(Aggregator):
    """λ as a torchjd aggregator chooses it from G or J, or the gradient of a torchjd scalarizer in the losses.

    Methods that draw take their numbers from a counter in the state. Methods with a memory inside torchjd are refused,
    since no state could save it; most of them have a file of their own here.

    Args:
        name: name of a class of `torchjd.aggregation` or `torchjd.scalarization`.
        arguments: its arguments by name; lists become float64 tensors.

    Attributes:
        method: the aggregator or scalarizer of torchjd.
    """

    batchable: ClassVar[bool] = False
    uses_jacobian: ClassVar[bool] = True
    method: ClassVar[Any]

    name: str = "UPGrad"
    arguments: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        method = find_methods().get(self.name)
        if method is None:
            raise ConfigurationError(
                f"TorchJD.name is {self.name!r}, but the methods of torchjd that can be used here are "
                f"{', '.join(sorted(find_methods()))}; use one of these names."
            )
        arguments = {key: _tensor_of_list(value) for key, value in (self.arguments or {}).items()}
        try:
            object.__setattr__(self, "method", method(**arguments))
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigurationError(
                f"torchjd's {self.name} refused its arguments {self.arguments}: {error} "
                "Change aggregator.arguments, for example aggregator.arguments='{alpha: 1.0}'."
            ) from error

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        return {"step": 0}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state["step"])
            return self._weigh(losses, jacobian), {"step": state["step"] + 1}

    def _weigh(self, losses: Tensor, jacobian: Callable[[], Tensor]) -> Tensor:
        if hasattr(self.method, "gramian_weighting"):
            return weigh(self.method.gramian_weighting, gramian(jacobian()), losses)
        if hasattr(self.method, "weighting"):
            return weigh(self.method.weighting, jacobian(), losses)
        return weigh(self._gradient_of_scalarizer, losses, losses)

    def _gradient_of_scalarizer(self, values: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = values.requires_grad_()
            return torch.autograd.grad(self.method(leaf), leaf)[0]


def find_methods() -> dict[str, type]:
    """Return torchjd's aggregators that are a weighting, and its scalarizers, without those that keep a memory."""
    aggregation = import_torchjd("torchjd.aggregation", "torchjd")
    scalarization = import_torchjd("torchjd.scalarization", "torchjd")
    stateful = import_torchjd("torchjd", "torchjd").Stateful
    found = {
        name: getattr(module, name)
        for module, base in ((scalarization, scalarization.Scalarizer), (aggregation, aggregation.WeightedAggregator))
        for name in module.__all__
        if issubclass(getattr(module, name), base) and not issubclass(getattr(module, name), stateful)
    }
    abstract = {"Scalarizer", "WeightedAggregator", "GramianWeightedAggregator"}
    return {name: method for name, method in found.items() if name not in abstract}


def _tensor_of_list(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return torch.tensor(value, dtype=torch.float64, device="cpu")
    return value
