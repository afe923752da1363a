"""Metrics that keep to a share of the run's time."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import ClassVar

from torch import Tensor

from descend.devices import wait_for
from descend.engine.experiment import Experiment
from descend.metrics.metric import Metric
from descend.types import Observation

STRETCHES = 10
"""A curve needs points: at least one event comes in each of so many equal stretches of a run, whatever it costs."""


@dataclass
class TimeSpent:
    """When the first event began, how long all of them and the last took, in seconds, and the step of the last."""

    began: float | None = None
    step: int = 0
    spent: float = 0.0
    last: float = 0.0

    def affords(self, share: float) -> bool:
        """Tell whether an event as long as the last would leave all within `share` of the time since the first."""
        return self.began is None or self.spent + self.last <= share * (time.perf_counter() - self.began)

    def add(self, began: float, step: int) -> None:
        """Note an event of a step that began then and ends now."""
        self.step = step
        self.began = began if self.began is None else self.began
        self.last = time.perf_counter() - began
        self.spent += self.last


@dataclass(frozen=True)
class Budgeted(Metric):
    """A metric whose events come where they are due and can be afforded; the first and that of the run's end always.

    Args:
        metric: what is computed; it has a budget.
        longest: steps after an event at which the next one comes, whatever it costs.
    """

    batchable: ClassVar[bool] = False

    metric: Metric = field(kw_only=True)
    longest: int = field(kw_only=True)
    clock: TimeSpent = field(default_factory=TimeSpent, compare=False)

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        step, share = int(observation.step), self.metric.budget
        needed = observation.update is None or step >= self.clock.step + self.longest
        if share is not None and not needed and not self.clock.affords(share):
            return {}
        device = next(iter(observation.params.values())).device
        wait_for(device)  # for the steps that were asked for: their time is not the metric's
        began = time.perf_counter()
        values = self.metric(observation)
        wait_for(device)
        self.clock.add(began, step)
        return values


def within_budgets(experiment: Experiment) -> Experiment:
    """Return the experiment with each of its metrics that has a budget kept to it."""
    longest = math.ceil(experiment.steps / STRETCHES)
    metrics = {
        name: metric if metric.budget is None else Budgeted(metric.every, metric.budget, metric=metric, longest=longest)
        for name, metric in experiment.metrics.items()
    }
    return replace(experiment, metrics=metrics)
