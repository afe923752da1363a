"""A run that a rule ends inside a block leaves exactly what a run of that many steps leaves."""

from dataclasses import replace

import polars.testing
import pytest
import torch
from toys import Line, Quartic, Three

from descend.aggregators.upgrad import UPGrad
from descend.engine import loop as loop_module
from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import Run, drive
from descend.engine.stopping import Stopping
from descend.graph.trace import tensors
from descend.metrics.gradient_cosine import GradientCosine
from descend.metrics.update_norm import UpdateNorm
from descend.objectives.objective import Objective
from descend.objectives.rosenbrock import Rosenbrock
from descend.optimizers.adam import Adam
from descend.optimizers.bfgs import BFGS
from descend.optimizers.gradient_descent import GradientDescent
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.sgd import SGD
from descend.optimizers.torch_optim import TorchOptim

METRICS = {"update": UpdateNorm(every=3), "cosine": GradientCosine(every=2)}
STATEFUL = [Adam(lr=0.05), SGD(lr=5e-4, momentum=0.9), TorchOptim(name="Adagrad", lr=0.1)]

pytestmark = pytest.mark.filterwarnings("ignore:The loss 'constant' of Three")  # one that no parameter moves


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks double to the longest there is, whatever the machine is busy with: 1, 2, 4, 8…"""
    monkeypatch.setattr(loop_module, "BLOCK_SECONDS", 1e9)


def run(experiment: Experiment) -> tuple[Run, Result]:
    single = Run(experiment)
    return single, drive(single, [])


def assert_same_end(found: Run, expected: Run) -> None:
    """Hold all that goes from step to step, where both runs ended, bit for bit."""
    assert found.loop.backend.name == expected.loop.backend.name
    ends = [tensors(ended.loop.ends()) for ended in (found, expected)]
    torch.testing.assert_close(*ends, rtol=0, atol=0, equal_nan=True)


def assert_as_if_planned(experiment: Experiment, status: str) -> Result:
    """Hold a run that a rule ended against the run of as many steps, and return its result."""
    ended, result = run(experiment)
    planned_run, planned = run(replace(experiment, steps=result.steps, stop=Stopping()))
    assert result.status == status, result.reason
    assert 0 < result.steps < experiment.steps
    assert (result.steps + 1) & result.steps, "the rule must hold inside a block, not where one begins"
    assert_same_end(ended, planned_run)
    polars.testing.assert_frame_equal(
        result.records.sort("step", "name"), planned.records.sort("step", "name"), check_exact=True
    )
    assert result.evaluations == planned.evaluations
    assert result.losses == pytest.approx(planned.losses, abs=0, nan_ok=True)
    return result


@pytest.mark.parametrize("optimizer", STATEFUL, ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize("objective", [Rosenbrock(), Line()], ids=lambda objective: type(objective).__name__)
def test_value_reached(objective: Objective, optimizer: Optimizer) -> None:
    base = Experiment(objective, optimizer=optimizer, metrics=METRICS, steps=100)
    values = run(base)[1].records.filter(name="value")["value"].to_list()
    # A step in the middle of a block, and lower than all before it.
    step = next(i for i in range(20, 100) if values[i] < min(values[:i]) and (i + 1) & i)
    found = assert_as_if_planned(replace(base, stop=Stopping(value=values[step])), "converged")
    assert found.steps == step
    assert f"at step {step}" in found.reason


@pytest.mark.parametrize("optimizer", STATEFUL, ids=lambda optimizer: type(optimizer).__name__)
def test_gradient_norm_reached(optimizer: Optimizer) -> None:
    stop = Stopping(gradient_norm=2.5)
    experiment = Experiment(Rosenbrock(), optimizer=optimizer, metrics=METRICS, stop=stop, compile=False)
    assert assert_as_if_planned(experiment, "converged").gradient_norm <= 2.5


@pytest.mark.parametrize("stop", [Stopping(xtol=1e-3), Stopping(ftol=1e-3)], ids=["xtol", "ftol"])
@pytest.mark.parametrize("backend", ["graph", "kernel"])
def test_trials_that_change_little(stop: Stopping, backend: str) -> None:
    base = Experiment(Rosenbrock(), optimizer=BFGS(lr=0.3), metrics=METRICS, compile=backend == "kernel")
    found = assert_as_if_planned(replace(base, stop=stop), "converged")
    assert "relative change" in found.reason
    assert found.provenance["backend"] == backend


@pytest.mark.parametrize("optimizer", STATEFUL[:2], ids=lambda optimizer: type(optimizer).__name__)
@pytest.mark.parametrize(
    ("stop", "status"),
    [
        (Stopping(gradient_norm=2.5), "converged"),
        (Stopping(value=1.5), "converged"),
        (Stopping(plateau=10, plateau_tolerance=0.2), "finished"),
    ],
    ids=["gradient_norm", "value", "plateau"],
)
def test_a_rule_inside_the_steps_of_a_kernel(optimizer: Optimizer, stop: Stopping, status: str) -> None:
    experiment = Experiment(Rosenbrock(), optimizer=optimizer, metrics=METRICS, stop=stop, compile=True)
    found = assert_as_if_planned(experiment, status)
    assert found.provenance["backend"] == "kernel"


def test_evaluations_that_a_block_taken_again_made_for_nothing_are_not_counted() -> None:
    """A line search calls the loss itself, also in the steps of a block that the rule then takes back."""
    optimizer = TorchOptim(name="LBFGS", lr=0.1, options={"max_iter": 2})
    stop = Stopping(value=2.0)
    found = assert_as_if_planned(Experiment(Rosenbrock(), optimizer=optimizer, metrics=METRICS, stop=stop), "converged")
    assert found.evaluations["function"] > 2 * found.steps


@pytest.mark.parametrize("objective", [Rosenbrock(), Line()], ids=lambda objective: type(objective).__name__)
def test_plateau(objective: Objective) -> None:
    stop = Stopping(plateau=9, plateau_tolerance=0.2)
    experiment = Experiment(objective, optimizer=Adam(lr=0.05), metrics=METRICS, stop=stop, compile=False)
    assert "9 steps" in assert_as_if_planned(experiment, "finished").reason


@pytest.mark.parametrize("compile", [False, True])
def test_divergence_names_step_and_loss(compile: bool) -> None:
    experiment = Experiment(Quartic(), optimizer=SGD(lr=0.5, momentum=0.1), metrics=METRICS, compile=compile)
    found = assert_as_if_planned(experiment, "diverged")
    assert "'quartic'" in found.reason or "'fine'" in found.reason
    assert f"step {found.steps}" in found.reason
    values = found.records.filter(name="value").sort("step")["value"]
    assert values[:-1].is_finite().all()
    assert not values.is_finite()[-1]


def test_a_last_step_that_diverges_says_so() -> None:
    steps = run(Experiment(Quartic(), optimizer=GradientDescent(lr=0.5)))[1].steps
    _, found = run(Experiment(Quartic(), optimizer=GradientDescent(lr=0.5), steps=steps))
    assert found.status == "diverged"
    assert f"step {steps}" in found.reason


def test_a_last_step_that_converges_says_so() -> None:
    base = Experiment(Rosenbrock(), optimizer=GradientDescent(lr=1e-3), steps=30)
    stop = Stopping(value=run(base)[1].value)
    assert run(replace(base, stop=stop))[1].status == "converged"
    assert run(replace(base, steps=29, stop=stop))[1].status == "finished"


def test_a_time_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(10**6))
    monkeypatch.setattr(loop_module.time, "perf_counter", lambda: next(ticks))
    stop = Stopping(seconds=5)
    experiment = Experiment(Rosenbrock(), optimizer=Adam(), metrics=METRICS, steps=1000, stop=stop, compile=False)
    ended, found = run(experiment)  # each block takes a tick: 1, 2, 4, 8 and 16 steps
    assert (found.status, found.steps, found.seconds) == ("finished", 31, 5)
    assert "time budget" in found.reason
    planned, _ = run(replace(experiment, steps=31, stop=Stopping()))
    assert_same_end(ended, planned)


@pytest.mark.parametrize("most", [1, 3, 7])
@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(Line(), optimizer=Adam(lr=0.05), metrics=METRICS, steps=40),
        Experiment(Three(), optimizer=SGD(lr=0.01, momentum=0.9), aggregator=UPGrad(), metrics=METRICS, steps=40),
        Experiment(Rosenbrock(), optimizer=TorchOptim(name="LBFGS", lr=0.5), metrics=METRICS, steps=6),
    ],
    ids=["batches", "aggregated", "closure"],
)
def test_block_sizes_do_not_matter(monkeypatch: pytest.MonkeyPatch, experiment: Experiment, most: int) -> None:
    large, expected = run(experiment)
    monkeypatch.setattr(loop_module, "MOST_STEPS", most)
    small, found = run(experiment)
    assert_same_end(small, large)
    polars.testing.assert_frame_equal(
        found.records.sort("step", "name"), expected.records.sort("step", "name"), check_exact=True
    )
    assert found.evaluations == expected.evaluations
