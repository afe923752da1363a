"""Metrics within a share of the run's time, by a clock of the test's own."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from descend.engine import budgeted
from descend.engine.budgeted import Budgeted, within_budgets
from descend.engine.experiment import Experiment
from descend.metrics.metric import Metric
from descend.objectives.rosenbrock import Rosenbrock
from descend.types import Observation


@dataclass
class Now:
    """Seconds that pass only where the test says so."""

    seconds: float = 100.0

    def perf_counter(self) -> float:
        return self.seconds


@dataclass(frozen=True)
class Costly(Metric):
    """Takes as long as it is told."""

    now: Now = field(default_factory=Now)
    seconds: float = 1.0

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        self.now.seconds += self.seconds
        return {"costly": torch.zeros(())}


def step(update: object = (), number: int = 0) -> Observation:
    return SimpleNamespace(update=update, step=number, params={"x": torch.zeros(1)})  # type: ignore[return-value]


@given(cost=st.floats(0.01, 50), share=st.floats(0.01, 1), steps=st.lists(st.floats(0.001, 20), max_size=80))
def test_events_take_their_share_and_no_more(cost: float, share: float, steps: list[float]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        now = Now()
        patch.setattr(budgeted, "time", now)
        metric = Budgeted(1, share, metric=Costly(budget=share, now=now, seconds=cost), longest=1)
        began, events = now.seconds, [bool(metric(step()))]
        for each in steps:
            now.seconds += each
            before = now.seconds
            came = bool(metric(step()))
            spent = cost * (sum(events) + 1)
            affordable = spent <= share * (before - began)
            if abs(spent - share * (before - began)) > 1e-9 * spent:
                assert came == affordable
            events.append(came)
        assert events[0]
        assert metric(step(update=None))


@pytest.mark.parametrize(("steps", "every"), [(100, 1), (2000, 10), (7, 1), (95, 10)])
def test_a_curve_has_points_whatever_they_cost(monkeypatch: pytest.MonkeyPatch, steps: int, every: int) -> None:
    now = Now()
    monkeypatch.setattr(budgeted, "time", now)
    costly = Costly(every, 0.1, now=now, seconds=1e6)
    metric = within_budgets(Experiment(Rosenbrock(), metrics={"costly": costly}, steps=steps)).metrics["costly"]
    seen = [number for number in range(0, steps, every) if metric(step(number=number))]
    gaps = [later - earlier for earlier, later in zip(seen, [*seen[1:], steps], strict=True)]
    assert seen[0] == 0
    assert max(gaps) <= -(-steps // 10) + every - 1
    assert len(seen) <= 10


def test_only_what_has_a_budget_is_watched() -> None:
    free, bound = Costly(), Costly(every=7, budget=0.2)
    found = within_budgets(Experiment(Rosenbrock(), metrics={"free": free, "bound": bound})).metrics
    assert found["free"] is free
    assert isinstance(found["bound"], Budgeted)
    assert (found["bound"].every, found["bound"].batchable) == (7, False)
