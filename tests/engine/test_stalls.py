"""What is said of a run whose total stands still, and of one that ends where no direction lowers every loss."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import descend
from descend.aggregators.cagrad import CAGrad
from descend.aggregators.min_norm import MinNorm
from descend.aggregators.sum import Sum
from descend.engine.experiment import Experiment
from descend.engine.stalls import LEAST_TOTALS, Stalls
from descend.objectives.objective import Objective
from descend.optimizers.gradient_descent import GradientDescent
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.trust_region import TrustRegion
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings
from descend.types import Losses, Params

RAT42_X = torch.tensor([9, 14, 21, 28, 42, 57, 63, 70, 79], dtype=torch.float64)
RAT42_Y = torch.tensor([8.93, 10.8, 18.59, 22.33, 39.35, 56.11, 61.73, 64.62, 67.08], dtype=torch.float64)


@dataclass(frozen=True)
class Rat42(Objective):
    """NIST's nonlinear regression Rat42 (Ratkowsky 1983), from its first start; certified residual 8.0565229338."""

    def init(self, generator: Any) -> Params:
        return {"b": torch.tensor([100.0, 1.0, 0.1], dtype=torch.float64)}

    def losses(self, params: Params, batch: None) -> Losses:
        b = params["b"]
        return {"rss": ((RAT42_Y - b[0] / (1 + torch.exp(b[1] - b[2] * RAT42_X))) ** 2).sum()}


@dataclass(frozen=True)
class Stops(Optimizer):
    """Walks for so many steps and then stands still; not as tensor operations where `batchable` is False."""

    last: int = 7

    def init(self, params: Params) -> Any:
        return {"step": 0}

    def step(self, params: Params, gradients: Params, state: Any, loss: Any) -> Any:
        moving = torch.as_tensor(state["step"] < self.last)
        walked = {name: x - self.lr * moving.to(x.dtype) * gradients[name] for name, x in params.items()}
        return walked, {"step": state["step"] + 1}


@dataclass(frozen=True)
class StopsInPython(Stops):
    batchable: ClassVar[bool] = False


def naive(totals: list[float], stride: int = 1) -> int:
    """Return the recorded step at which the last run of equal totals begins."""
    since = 0
    for step, (before, after) in enumerate(pairwise(totals[::stride]), start=1):
        if after != before:
            since = step * stride
    return since


@given(
    st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=30, max_size=30), min_size=1, max_size=4),
    st.lists(st.integers(1, 29)),
    st.sampled_from([1, 2, 3]),
)
def test_in_blocks_as_step_by_step(totals: list[list[float]], cuts: list[int], stride: int) -> None:
    rows, edges = np.array(totals).T, sorted({0, 30, *cuts})
    stalls, runs = Stalls(len(totals), stride), np.arange(len(totals))
    for begin, end in pairwise(edges):
        kept = Stalls(len(totals), stride)
        kept.restore(stalls.state(np.zeros(len(totals), bool)))
        stalls = kept
        steps = np.array([step for step in range(begin, end) if step % stride == 0], np.int64)
        if steps.size:
            stalls.look(runs, steps, rows[steps])
    for run, own in enumerate(totals):
        since = naive(own, stride)
        said = (
            f"not changed since step {since}" if stride == 1 else f"the same at each recorded step from step {since} on"
        )
        assert stalls.told(run, 30).endswith(said) == (30 - since >= LEAST_TOTALS * stride)


@pytest.mark.parametrize("compile", [False, True], ids=["graph", "kernel"])
@pytest.mark.parametrize("steps", [60, 1500])
def test_a_run_that_stands_still_says_since_when(compile: bool, steps: int) -> None:
    overrides = ["objective=rosenbrock", f"optimizer._target_={__name__}.Stops", f"compile={compile}", "metrics=none"]
    found = descend.run([*overrides, "derivatives=none", f"steps={steps}", "optimizer.lr=1e-4"])
    assert found.reason == f"all {steps} steps were made; the total has not changed since step 7"
    assert found.provenance["backend"] == ("kernel" if compile else "graph")


def test_a_run_that_cannot_be_recorded_says_it_too() -> None:
    overrides = ["objective=rosenbrock", f"optimizer._target_={__name__}.StopsInPython", "metrics=none", "steps=60"]
    found = descend.run([*overrides, "derivatives=none", "optimizer.lr=1e-4"])
    assert found.provenance["backend"] == "python"
    assert found.reason == "all 60 steps were made; the total has not changed since step 7"


def test_in_a_sweep_it_is_said_as_alone() -> None:
    overrides = ["objective=rosenbrock", f"optimizer._target_={__name__}.Stops", "metrics=none", "derivatives=none"]
    overrides += ["steps=60", "optimizer.lr=1e-4"]
    table = descend.sweep([*overrides, "+optimizer.last=3,20,60,100", "objective.random_start=true", "seed=0,1"])
    for last, seed, reason in table.select("+optimizer.last", "seed", "reason").iter_rows():
        alone = descend.run([*overrides, f"+optimizer.last={last}", "objective.random_start=true", f"seed={seed}"])
        assert alone.reason == reason
        said = "all 60 steps were made" + (f"; the total has not changed since step {last}" if last < 60 else "")
        assert reason == said


@pytest.mark.parametrize("compile", [False, True], ids=["graph", "kernel"])
def test_a_sweep_that_records_fewer_steps_speaks_of_those(compile: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("descend.sweeps.plan.MOST_NUMBERS", 1000)
    monkeypatch.setattr("descend.sweeps.plan.THINNED", 100)
    overrides = ["objective=rosenbrock", f"optimizer._target_={__name__}.Stops", "metrics=none", "derivatives=none"]
    overrides += ["steps=1000", "optimizer.lr=1e-4", "+optimizer.last=7,400,990", f"compile={compile}"]
    stride = plan(overrides, Settings()).stride
    assert stride > 8
    for last, reason in descend.sweep(overrides).select("+optimizer.last", "reason").iter_rows():
        first = -(-last // stride) * stride
        said = f"; the total is the same at each recorded step from step {first} on"
        assert reason == "all 1000 steps were made" + ("" if last == 990 else said)


def test_a_trust_region_on_rat42_says_since_when_it_rests_if_it_does() -> None:
    found = descend.run(Experiment(Rat42(), TrustRegion(), steps=500, dtype="float64"))
    since = naive(found.records.filter(name="value")["value"].to_list()[:-1])
    rests = since <= 450  # at the minimum some CPUs go on between two values that differ in the last bit
    assert (f"; the total has not changed since step {since}" in found.reason) == rests
    assert ("has not changed" in found.reason) == rests
    assert found.value == pytest.approx(8.0565229338, rel=1e-10)
    assert math.isfinite(found.gradient_norm) != found.reason.endswith("; the gradient is not finite there (nan)")


def test_a_run_that_moves_to_its_end_says_nothing() -> None:
    found = descend.run(["objective=rosenbrock", "optimizer=adam", "steps=200", "metrics=none", "derivatives=none"])
    assert found.reason == "all 200 steps were made"


def test_batches_are_no_stall() -> None:
    """The same parameters have another total on each batch, and the same one where a batch repeats."""
    rest = ["optimizer=gradient_descent", "optimizer.lr=1e-30", "metrics=none", "derivatives=none", "steps=20"]
    found = descend.run(["objective=digits_mlp_small", "objective.batch_size=64", *rest])
    assert found.reason == "all 20 steps were made"


@dataclass(frozen=True)
class Apart(Objective):
    """Two parabolas about ±1: every point between is Pareto optimal; `flat` has one loss that nothing moves at 0."""

    begin: float = 3.0
    flat: bool = False

    def init(self, generator: Any) -> Params:
        return {"x": torch.tensor([self.begin, 0.5], dtype=torch.float64)}

    def losses(self, params: Params, batch: None) -> Losses:
        x, y = params["x"].unbind()
        left = 0 * x if self.flat else (x + 1) ** 2 + y**2
        return {"left": left, "right": (x - 1) ** 2 + y**2}


STATIONARY = "no direction lowers every loss there: the point is Pareto stationary"


@pytest.mark.parametrize("aggregator", [CAGrad(), MinNorm()], ids=["python", "graph"])
@pytest.mark.parametrize(("begin", "flat", "steps"), [(3.0, False, 400), (1.0, True, 400), (0.0, True, 0)])
def test_a_pareto_stationary_end_is_named(aggregator: Any, begin: float, flat: bool, steps: int) -> None:
    """By hand: on the segment between the parabolas' centres their gradients oppose; a zero gradient is enough, too."""
    found = descend.run(Experiment(Apart(begin, flat), GradientDescent(lr=0.1), aggregator, steps=steps))
    assert found.status == "finished"
    assert found.reason.endswith(f"; {STATIONARY}")


@pytest.mark.parametrize("aggregator", [CAGrad(), MinNorm()])
def test_a_point_where_both_losses_can_fall_is_not(aggregator: Any) -> None:
    found = descend.run(Experiment(Apart(3.0), GradientDescent(lr=1e-3), aggregator, steps=5))
    assert "Pareto" not in found.reason


def test_an_aggregator_that_never_looks_at_gradients_pays_for_none() -> None:
    found = descend.run(Experiment(Apart(0.0), GradientDescent(lr=0.1), Sum(), steps=100))
    assert "Pareto" not in found.reason


def test_small_gradients_are_not_taken_for_conflict() -> None:
    """Gradients of 1e6 and 1e-3 at a right angle: the shortest combination is short, but both losses can fall."""

    @dataclass(frozen=True)
    class Scales(Apart):
        def losses(self, params: Params, batch: None) -> Losses:
            x, y = params["x"].unbind()
            return {"steep": 1e6 * x, "gentle": 1e-3 * y}

    found = descend.run(Experiment(Scales(), GradientDescent(lr=1e-12), MinNorm(), steps=3))
    assert "Pareto" not in found.reason
