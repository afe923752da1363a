"""What passes through NumPy, however deep in a part of the user's own, is not run by a recording; what is kept outside
of the state is refused."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import left
import numpy as np
import polars as pl
import pytest
import torch
from conftest import Command
from polars.testing import assert_frame_equal
from torch import Tensor

from descend.engine.experiment import Experiment
from descend.engine.own import TRUSTED, module_of, own_parts, parts_within
from descend.engine.result import Result
from descend.engine.run import Run, drive, run
from descend.engine.sink import Sink
from descend.errors import ConfigurationError
from descend.metrics.metric import Metric
from descend.objectives.expression import Expression
from descend.objectives.networks import MLP
from descend.objectives.objective import Objective
from descend.optimizers.gradient_descent import GradientDescent
from descend.records import Records
from descend.types import Batch, Loss, Losses, Observation, Params, State


def straight(x: Tensor) -> Tensor:
    """x², whose last factor a recording would hold for a constant."""
    return x * torch.from_numpy(x.detach().numpy().copy())


@dataclass(frozen=True)
class Wrapped:
    """A user's own op that keeps another."""

    inner: Callable[[Tensor], Tensor] = straight

    def __call__(self, x: Tensor) -> Tensor:
        return self.inner(x)


@pytest.mark.parametrize("op", [straight, Wrapped()], ids=["function", "object"])
def test_an_op_of_ones_own_through_numpy_is_called_not_recorded(op: Callable[[Tensor], Tensor]) -> None:
    run = Run(Experiment(Expression("op(x)", start={"x": 2.0}, op=op), GradientDescent(lr=0.25), steps=3))
    result = drive(run, [])
    assert run.loop.backend.name == "python"
    assert result.parameters == {"x": 2.0 * 0.75**3}  # x ← x − x/4, the second factor held fixed


def test_what_is_kept_deep_inside_is_found() -> None:
    assert any(x is straight for x in parts_within(MLP(activation=straight)))
    assert any(x is straight for x in parts_within(Wrapped(inner=Wrapped())))
    assert module_of(straight) == module_of(Wrapped()) == __name__
    assert module_of(torch.relu) in TRUSTED


class Layer(torch.nn.Module):
    """A user's layer in a network of torch's."""


def test_a_network_is_descends_own_by_its_class_and_its_layers() -> None:
    """A partial belongs to functools, and what it makes to whom its class does."""
    assert own_parts([functools.partial(MLP, hidden=[3]), torch.nn.Sequential(torch.nn.Linear(2, 2))])
    assert not own_parts([functools.partial(Layer)])
    assert not own_parts([torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Sequential(Layer()))])


@dataclass(frozen=True)
class Bowl(Objective):
    """|x − 3|² over two numbers, from 1, and what a user may add to it."""

    def init(self, generator: torch.Generator) -> Params:
        return {"x": torch.ones(2, dtype=torch.float64)}

    def losses(self, params: Params, batch: Batch) -> Losses:
        return {"f": ((params["x"] - 3) ** 2).sum()}


class NumpyTests(Bowl):
    def evaluate(self, params: Params) -> dict[str, Tensor]:
        return {"sum": torch.tensor(float(np.sum(params["x"].detach().numpy())))}


class SumByNumpy(Metric):
    """Of the parameters."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return {"sum": torch.from_numpy(np.asarray(observation.params["x"].detach().numpy().sum()))}


class SumByAGlobal(Metric):
    """Of the parameters, whose values pass by where nobody looks."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        GLOBAL[:] = [float(x) for x in observation.params["x"]]
        return {"sum": torch.tensor(sum(GLOBAL), dtype=torch.float64)}


GLOBAL: list[float] = []
RATES = [0.1, 0.2, 0.05]


def points(lr: float, steps: int) -> list[float]:
    """Return the sum of x at each step of gradient descent on `Bowl`: x ← x − 2 lr (x − 3)."""
    return [2 * (3 - 2 * (1 - 2 * lr) ** k) for k in range(steps + 1)]


class Seen(Sink):
    """Keeps what the metric found."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def save(self) -> None:
        return None

    def restore(self, step: int) -> None:
        raise AssertionError("no run here is resumed")

    def close(self, result: Result) -> None:
        return None

    def write(self, records: Records) -> None:
        self.values += records.scalars["sum"].values.tolist() if "sum" in records.scalars else []


@pytest.mark.parametrize("lr", RATES)
def test_test_metrics_by_numpy_are_those_of_the_end(lr: float) -> None:
    result = run(Experiment(NumpyTests(), GradientDescent(lr=lr), steps=7))
    assert result.metrics["sum"] == pytest.approx(points(lr, 7)[-1], rel=1e-6)


@pytest.mark.parametrize("metric", [SumByNumpy(), SumByAGlobal()], ids=lambda metric: type(metric).__name__)
@pytest.mark.parametrize("lr", RATES)
def test_a_metric_of_ones_own_sees_each_step(metric: Metric, lr: float) -> None:
    seen = Seen()
    run(Experiment(Bowl(), GradientDescent(lr=lr), metrics={"own": metric}, steps=7), [seen])
    assert seen.values == pytest.approx(points(lr, 7))


@pytest.mark.parametrize("metric", ["SumByNumpy", "SumByAGlobal"])
def test_runs_of_a_sweep_see_their_own(metric: str, descend: Command) -> None:
    own = [f"objective._target_={__name__}.NumpyTests", f"+metrics.own._target_={__name__}.{metric}"]
    rates = [f"optimizer.lr={','.join(map(str, RATES))}", "optimizer=sgd", "steps=7", "hydra.sweep.dir=sweep"]
    done = descend("-m", *own, *rates)
    assert done.code == 0, done.err
    assert "one after the other" not in done.err
    for lr in RATES:
        [folder] = Path("sweep").glob(f"*-lr={lr}")
        seen = left.table(folder).filter(pl.col("name") == "sum")["value"]
        assert seen.to_list() == pytest.approx(points(lr, 7))
        assert left.result(folder)["metrics"]["sum"] == pytest.approx(points(lr, 7)[-1], rel=1e-6)


KEPT = torch.zeros(2, dtype=torch.float64)
CHANCE = np.random.default_rng(0)


class RandomTests(Bowl):
    def evaluate(self, params: Params) -> dict[str, Tensor]:
        return {"noisy": params["x"].sum() + torch.randn((), dtype=torch.float64)}


class Noisy(Metric):
    """A sum with noise, as of random directions."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return {"noise": torch.randn((), dtype=torch.float64), "sum": observation.params["x"].sum()}


def test_what_is_drawn_at_a_look_is_the_runs_own(descend: Command) -> None:
    own = [f"objective._target_={__name__}.RandomTests", f"+metrics.own._target_={__name__}.Noisy", "optimizer=sgd"]
    swept = descend("-m", *own, "steps=7", "seed=0,1", "hydra.sweep.dir=sweep")
    assert "one after the other" not in swept.err
    found = []
    for seed in (0, 1):
        alone = Path(f"alone{seed}")
        descend(*own, "steps=7", f"seed={seed}", f"hydra.run.dir={alone}")
        [folder] = Path("sweep").glob(f"*seed={seed}")
        assert_frame_equal(left.table(folder).drop("run"), left.table(alone).drop("run"), check_exact=True)
        assert left.table(alone).filter(pl.col("name") == "noise")["value"].n_unique() == 8
        found.append(left.result(alone)["metrics"]["noisy"])
        assert left.result(folder)["metrics"]["noisy"] == found[-1]
    assert found[0] != found[1]


class WritesInPlace(Bowl):
    def losses(self, params: Params, batch: Batch) -> Losses:
        KEPT.add_(0.01)
        return {"f": ((params["x"] - KEPT) ** 2).sum()}


class Counts(Bowl):
    calls: ClassVar[list[int]] = [0]

    def losses(self, params: Params, batch: Batch) -> Losses:
        self.calls[0] += 1
        return {"f": ((params["x"] - self.calls[0]) ** 2).sum()}


class DrawsByNumpy(Bowl):
    def losses(self, params: Params, batch: Batch) -> Losses:
        return {"f": ((params["x"] - CHANCE.random()) ** 2).sum()}


class ChanceTests(Bowl):
    def evaluate(self, params: Params) -> dict[str, Tensor]:
        return {"sum": params["x"].sum() + CHANCE.random()}


class Remembers(GradientDescent):
    """Momentum that is no state."""

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        KEPT.mul_(0.9).add_(gradients["x"])
        return {"x": params["x"] - self.lr * KEPT}, state


OBJECTIVES_THAT_KEEP = [WritesInPlace(), Counts(), DrawsByNumpy(), ChanceTests()]


@pytest.mark.parametrize("objective", OBJECTIVES_THAT_KEEP, ids=lambda x: type(x).__name__)
def test_an_objective_that_keeps_something_is_refused(objective: Objective) -> None:
    """It gave other numbers alone than in a sweep."""
    with pytest.raises(ConfigurationError, match=f"{type(objective).__name__} gives another result when it is called"):
        run(Experiment(objective, GradientDescent(), steps=3))


class BrokenTests(Bowl):
    def evaluate(self, params: Params) -> dict[str, Tensor]:
        raise ValueError("no test data")


@pytest.mark.parametrize("steps", [0, 3])
def test_what_evaluate_raises_is_told_before_the_first_step(steps: int) -> None:
    """Without metrics it would be called at the end alone."""
    with pytest.raises(ConfigurationError, match=r"BrokenTests.evaluate raised ValueError at the start: no test data"):
        run(Experiment(BrokenTests(), GradientDescent(), metrics={}, steps=steps))


class FewBatches(Bowl):
    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        yield from torch.ones(2, 1, dtype=torch.float64)


def test_batches_that_end_are_told() -> None:
    with pytest.raises(RuntimeError, match=r"FewBatches.batches ended after 2, but a run takes a batch for each step"):
        run(Experiment(FewBatches(), GradientDescent(), steps=5))


def test_an_optimizer_that_keeps_something_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Remembers gives another result when it is called again"):
        run(Experiment(Bowl(), Remembers(lr=0.1), steps=3))


class Longest(Metric):
    """The greatest sum that any run has seen."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        KEPT.add_(observation.params["x"])
        return {"kept": KEPT.sum()}


class FromTheStart(Metric):
    """How far a run is from where the metric looked first; of a run that is resumed that is not its start."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        start = vars(self).setdefault("start", observation.params["x"].clone())
        return {"distance": (observation.params["x"] - start).norm()}


class Called(Longest):
    batchable: ClassVar[bool] = False


def test_a_metric_that_keeps_something_is_refused_or_called() -> None:
    experiment = Experiment(Bowl(), GradientDescent(lr=0.1), steps=3)
    for metric in (Longest(), FromTheStart()):
        said = rf"The metric own \({type(metric).__name__}\) gives another value"
        with pytest.raises(ConfigurationError, match=said):
            run(replace(experiment, metrics={"own": metric}))
    run(replace(experiment, metrics={"own": Called()}))
