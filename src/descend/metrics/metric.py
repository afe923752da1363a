"""The contract of a metric: something worth looking at while a run goes."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.checks import check_number
from descend.types import Observation, Params


@dataclass(frozen=True)
class Metric(ABC):
    """A pure function of what a step saw, computed at every `every`-th step and at the end.

    Args:
        every: steps between two values, ≥ 1.
        budget: share of the run's time that it may take, in (0, 1]: of the steps at which it is due, those are left out
            that would exceed it, save the first, one in each tenth of the run, and its end. None sets no bound. Kept in
            runs of their own.

    Attributes:
        batchable: whether it is made of tensor operations alone, so that it can be traced and stacked over runs.
        arrays: whether its values are more than numbers (histograms): only a single run computes them.
        tests: whether its values are the objective's test metrics, by the names of `name_of_test`; a stopping rule may
            look at them.
        uses_jacobian: whether it looks at the gradients of the single losses; a step at which it is due keeps them.
    """

    batchable: ClassVar[bool] = True
    tests: ClassVar[bool] = False
    uses_jacobian: ClassVar[bool] = False
    arrays: ClassVar[bool] = False

    every: int = 1
    budget: float | None = None

    def __post_init__(self) -> None:
        check_number(self, "every", at_least=1)
        if self.budget is not None:
            check_number(self, "budget", above=0, at_most=1)

    def applies(self, params: Params) -> bool:
        """Tell from names and shapes whether there is something to look at; where not, the metric is left out."""
        return True

    @property
    def differentiates(self) -> int:
        """The highest order of derivatives of the loss that it computes itself; tried before the run if above 1."""
        return 0

    @abstractmethod
    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        """Return values by name: shape [] for a scalar, [2, bins] (right edges, counts) for a histogram.

        A name's part before the first slash is its group in TensorBoard. Values stay on the device: no `.item()`.
        The names depend on nothing but the names of the losses, the names and shapes of the parameters, and on whether
        an update follows.
        """


def name_of_test(name: str) -> str:
    """Return the name under which a test metric of an objective is recorded: `accuracy` as `test/accuracy`."""
    kind = "validation" if name.startswith("validation_") else "test"
    return f"{kind}/{name.removeprefix(f'{kind}_')}"


def highest_is_best(name: str) -> bool:
    """Tell whether a test metric, by any of its names, is to be raised: an accuracy, a share of variance explained."""
    return "accuracy" in name or "r_squared" in name
