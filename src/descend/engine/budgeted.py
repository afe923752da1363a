"""Metrics that keep to a share of the run's time."""

import time
from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import Tensor

from descend.engine.experiment import Experiment
from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass
class Spending:
    """When the first event began, and how long all of them and the last took, in seconds."""

    began: float | None = None
    spent: float = 0.0
    last: float = 0.0

    def affords(self, share: float) -> bool:
        """Tell whether an event as long as the last would leave all within `share` of the time since the first."""
        return self.began is None or self.spent + self.last <= share * (time.perf_counter() - self.began)

    def add(self, began: float) -> None:
        """Note an event that began then and ends now."""
        self.began = began if self.began is None else self.began
        self.last = time.perf_counter() - began
        self.spent += self.last


@dataclass(frozen=True)
class Budgeted(Metric):
    """A metric whose events come where they are due and can be afforded; the first and that of the run's end always.

    Args:
        metric: what is computed; it has a budget.
    """

    batchable: ClassVar[bool] = False

    metric: Metric = field(kw_only=True)
    clock: Spending = field(default_factory=Spending, compare=False)

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        at_the_end = observation.update is None
        if self.metric.budget is not None and not at_the_end and not self.clock.affords(self.metric.budget):
            return {}
        began = time.perf_counter()
        values = self.metric(observation)
        self.clock.add(began)
        return values


def within_budgets(experiment: Experiment) -> Experiment:
    """Return the experiment with each of its metrics that has a budget kept to it."""
    metrics = {
        name: metric if metric.budget is None else Budgeted(metric.every, metric.budget, metric=metric)
        for name, metric in experiment.metrics.items()
    }
    return replace(experiment, metrics=metrics)
