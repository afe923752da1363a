"""Compiled runs against the same runs step by step. Compiling takes seconds, so that there are few of these tests."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars.testing
import pytest
import torch
from toys import Line

import descend
from descend.derivatives import hessian
from descend.engine import loop as loop_module
from descend.engine.backends import choose, compiled, kernel
from descend.engine.backends.choose import LONG_RUN, LONG_RUN_OF_A_KERNEL
from descend.engine.backends.compiled import CompiledBackend
from descend.engine.block import due
from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import Run, drive
from descend.engine.stopping import Stopping
from descend.errors import ConfigurationError
from descend.graph.entries import Inseparable
from descend.graph.trace import refill, tensors, trace
from descend.metrics.gradient_cosine import GradientCosine
from descend.metrics.histogram import GradientHistogram
from descend.metrics.metric import Metric
from descend.metrics.parameter_values import ParameterValues
from descend.metrics.update_norm import UpdateNorm
from descend.objectives.expression import Expression
from descend.objectives.objective import Objective
from descend.objectives.rosenbrock import Rosenbrock
from descend.ops.straight_through_round import StraightThroughRound
from descend.optimizers.adam import Adam
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.torch_optim import TorchOptim
from descend.schedules.cosine import Cosine
from descend.types import Losses, Observation, Params


@dataclass(frozen=True)
class Looking(Metric):
    """A metric that looks at the value of a tensor, so that no trace may hold it."""

    batchable = False

    def __call__(self, observation: Observation) -> dict[str, torch.Tensor]:
        value = torch.stack(list(observation.losses.values())).sum()
        return {"looking": value if float(value) > 0 else -value}


METRICS = {
    "parameters": ParameterValues(every=1),
    "update": UpdateNorm(every=1),
    "cosine": GradientCosine(every=5),
    "histogram": GradientHistogram(every=10, bins=4),
    "looking": Looking(every=3),
}


STEPS = 4
"""Steps of a program in these tests: half as many compile in half the time."""

KINDS = {"kernels": "kernel", "kernels of metrics": "kernel", "programs": "compiled"}


@pytest.fixture(scope="module", autouse=True)
def _short_programs() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "STEPS", STEPS)
        patch.setattr(kernel, "STEPS_OF_A_CALL", STEPS)
        yield


def finished(experiment: Experiment) -> tuple[Run, Result]:
    run = Run(experiment)
    return run, drive(run, [])


def histograms(result: Result) -> dict[int, torch.Tensor]:
    columns = [block.histograms["gradient/histogram/x"] for block in result.blocks if block.histograms]
    return {int(s): torch.as_tensor(v) for column in columns for s, v in zip(column.steps, column.values, strict=True)}


class InseparableKernel(kernel.KernelBackend):
    """A kernel that finds no step to be made of its operations."""

    def __init__(self, *arguments: object) -> None:
        raise Inseparable("of the test")


def patched(kind: str, patch: pytest.MonkeyPatch) -> None:
    """Let runs be compiled as the test names it."""
    if kind == "kernels of metrics":
        patch.setattr(kernel, "STEPS_OF_A_KERNEL", 1)
    if kind == "programs":
        patch.setattr(choose, "KernelBackend", InseparableKernel)


def make(**given: Any) -> Experiment:
    """Rosenbrock by Adam under a schedule, with metrics at every step and now and then."""
    fields: dict[str, Any] = {
        "optimizer": Adam(lr=0.05),
        "schedule": Cosine(),
        "metrics": METRICS,
        "steps": 75,
        "compile": True,
    }
    return Experiment(Rosenbrock(), **(fields | given))


@pytest.fixture(scope="module", params=KINDS)
def compiled_run(request: pytest.FixtureRequest, _short_programs: None) -> tuple[str, Run, Result]:
    with pytest.MonkeyPatch.context() as patch:
        patched(request.param, patch)
        return request.param, *finished(make())


@pytest.fixture
def rosenbrock(compiled_run: tuple[str, Run, Result], monkeypatch: pytest.MonkeyPatch) -> tuple[Run, Result]:
    """The compiled run of `make()`; other runs within the test are compiled likewise, programs not once more."""
    kind, run, result = compiled_run
    assert run.loop.backend.name == KINDS[kind]
    patched(kind, monkeypatch)
    if kind == "programs":
        assert isinstance(run.loop.backend, CompiledBackend)
        call = run.loop.backend._call
        monkeypatch.setattr(CompiledBackend, "_compiled", lambda self: call)
    return run, result


def test_a_compiled_run_is_the_run(rosenbrock: tuple) -> None:
    run, result = rosenbrock
    _, expected = finished(make(compile=False))
    assert result.provenance["backend"] == run.loop.backend.name
    assert expected.provenance["backend"] == "graph"
    polars.testing.assert_frame_equal(
        result.records.sort("step", "name"), expected.records.sort("step", "name"), rel_tol=1e-9, abs_tol=1e-12
    )
    found, wanted = histograms(result), histograms(expected)
    assert list(found) == list(wanted) == [*range(0, 71, 10), 75]
    for step, histogram in found.items():
        torch.testing.assert_close(histogram, wanted[step], rtol=1e-8, atol=1e-10)
    assert result.evaluations == expected.evaluations
    assert (result.status, result.steps) == ("finished", 75)


def test_block_sizes_do_not_matter_when_compiled(rosenbrock: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    _, expected = rosenbrock
    monkeypatch.setattr(loop_module, "BLOCK_SECONDS", 0.0)  # the shortest blocks there are
    _, result = finished(make())
    assert len(result.blocks) == 75 // STEPS + 2
    polars.testing.assert_frame_equal(
        result.records.sort("step", "name"), expected.records.sort("step", "name"), check_exact=True
    )


def test_a_rule_inside_a_compiled_block_leaves_what_a_run_of_that_many_steps_leaves(rosenbrock: tuple) -> None:
    _, expected = rosenbrock
    values = expected.records.filter(name="value").sort("step")["value"].to_list()
    step = next(i for i in range(30, 75) if values[i] < min(values[:i]) and i % STEPS not in (0, STEPS - 1))
    stopped, result = finished(make(stop=Stopping(value=values[step])))
    planned = Run(make())
    backend = planned.loop.backend
    assert backend.name == stopped.loop.backend.name
    backend.advance([None] * step, tuple((True, names) for names in due(planned.experiment, 0, step)))
    assert (result.status, result.steps) == ("converged", step)
    torch.testing.assert_close(stopped.loop.ends(), backend.columns([0]), rtol=0, atol=0)


def test_batches_and_a_custom_backward() -> None:
    """A rounding whose gradient goes straight through: were its backward dropped, nothing would move."""

    @dataclass(frozen=True)
    class Rounded(Line):
        def losses(self, params: Params, batch: Any) -> Losses:
            rounded = {name: StraightThroughRound()(3 * x) / 3 for name, x in params.items()}
            return super().losses(rounded, batch) | {"size": (params["w"] ** 2).sum() / 10}

    def make(compile: bool) -> Experiment:
        return Experiment(Rounded(), optimizer=Adam(lr=0.1), steps=27, compile=compile)

    (run, result), (_, expected) = finished(make(True)), finished(make(False))
    assert run.loop.backend.name == "compiled"
    polars.testing.assert_frame_equal(
        result.records.sort("step", "name"), expected.records.sort("step", "name"), rel_tol=1e-9, abs_tol=1e-12
    )
    start = Line().init(torch.Generator().manual_seed(0))["w"]
    assert (run.params["w"] - start).abs().min() > 0.1
    assert run.params["b"] != 0  # moved by the rounded loss alone


def test_tracing_honours_a_custom_backward() -> None:
    objective = Expression("op(x)**2", start={"x": 2.0}, op=StraightThroughRound())

    def gradient(params: Params) -> Params:
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        with torch.enable_grad():
            value = objective.losses(leaves, None)["value"]
        return dict(zip(leaves, torch.autograd.grad(value, list(leaves.values())), strict=True))

    graph, example = trace(gradient, {"x": torch.tensor(2.2, dtype=torch.float64)})
    found = refill(example, graph(*tensors({"x": torch.tensor(3.3, dtype=torch.float64)})))
    assert float(found["x"]) == 6.0  # 2 · round(3.3) · 1


@dataclass(frozen=True)
class Branching(Rosenbrock):
    """Rosenbrock with a look at the value of a tensor, as a user might write it."""

    def value(self, x: torch.Tensor) -> torch.Tensor:
        return super().value(x) if x.sum() > -100 else x.sum()


def test_what_is_written_in_place_is_traced_into_operations_that_vmap_has_rules_for() -> None:
    """Of `aten.copy` vmap has none: it would loop over the runs, with a warning from C++ that Python cannot catch."""

    def cubes(x: torch.Tensor) -> torch.Tensor:
        return hessian(lambda p: (p["x"] ** 3).sum() + p["x"].cos().sum() ** 2, {"x": x})

    x = torch.tensor([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]], dtype=torch.float64)
    graph, _ = trace(cubes, x[0])
    assert not [node for node in graph.graph.nodes if node.target is torch.ops.aten.copy.default]
    (found,) = torch.vmap(lambda row: tuple(graph(row)))(x)
    torch.testing.assert_close(found, torch.stack([cubes(row) for row in x]))


@pytest.mark.parametrize("steps", [3, 300])
@pytest.mark.parametrize(
    ("fields", "told"), [({"compile": "maybe"}, "must be auto"), ({}, "TorchOptim is not made of")]
)
def test_a_wrong_wish_is_told_of_a_short_run_too(steps: int, fields: dict[str, Any], told: str) -> None:
    given: dict[str, Any] = {"optimizer": TorchOptim(), "compile": True, "steps": steps}
    with pytest.raises(ConfigurationError, match=told):
        Run(Experiment(Rosenbrock(), **(given | fields)))


def test_what_cannot_be_traced_is_told_or_run_step_by_step() -> None:
    with pytest.raises(ConfigurationError, match=r"compile is true, but its step cannot be recorded: .*false"):
        Run(Experiment(Branching(), steps=20, compile=True))
    run = Run(Experiment(Branching(), steps=LONG_RUN))
    assert run.loop.backend.name == "python"
    assert next(iter(run)).scalars["value"].steps.tolist() == [0]


def test_a_machine_without_a_compiler_runs_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch import _inductor

    def missing(*arguments: object) -> None:
        raise RuntimeError("no C++ compiler")

    monkeypatch.setattr(_inductor, "compile", missing)
    assert backend_of(Line(), steps=LONG_RUN) == "graph"
    with pytest.raises(ConfigurationError, match=r"a step of Line cannot be compiled: no C\+\+ compiler"):
        Run(Experiment(Line(), steps=20, compile=True))


def test_a_machine_without_a_c_compiler_runs_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert backend_of(Rosenbrock(), steps=LONG_RUN_OF_A_KERNEL) == "graph"
    with pytest.raises(ConfigurationError, match="no-such-compiler cannot compile a C program"):
        Run(Experiment(Rosenbrock(), steps=20, compile=True))


def test_long_runs_of_small_steps_go_by_kernels() -> None:
    assert backend_of(Rosenbrock(), steps=LONG_RUN_OF_A_KERNEL) == "kernel"
    assert backend_of(Rosenbrock(), steps=LONG_RUN_OF_A_KERNEL - 1) == "graph"
    assert backend_of(Line(), steps=LONG_RUN_OF_A_KERNEL) == "graph"  # it draws batches


def backend_of(objective: Objective, **fields: Any) -> str:
    return Run(Experiment(objective, **fields)).loop.backend.name


@pytest.mark.parametrize("optimizer", [Adam(), TorchOptim()], ids=["recorded", "called"])
def test_looking_ahead_at_batches_loses_none(optimizer: Optimizer) -> None:
    experiment = Experiment(Line(), optimizer, steps=20)
    streams = Run(experiment).loop.streams
    generator = experiment.generator()
    experiment.objective.init(generator)
    expected = list(zip(experiment.objective.batches(generator), range(20), strict=False))
    torch.testing.assert_close([(streams.draw(), i) for i in range(20)], expected, rtol=0, atol=0)


def test_steps_too_few_for_a_program_are_made_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CompiledBackend, "_compiled", lambda self: None)  # it is not called
    run, result = finished(Experiment(Line(), Adam(lr=0.1), steps=STEPS - 1, compile=True))
    assert (run.loop.backend.name, result.steps) == ("compiled", STEPS - 1)
    assert result.parameters == finished(Experiment(Line(), Adam(lr=0.1), steps=STEPS - 1))[1].parameters


@pytest.mark.parametrize(
    ("optimizer", "reasons"),
    [("soap", ["eigenvectors"]), ("sophia_g", ["draws random numbers"]), ("kfac", ["draws random", "eigenvectors"])],
)
def test_a_step_that_cannot_be_compiled_says_why(optimizer: str, reasons: list[str]) -> None:
    with pytest.raises(ConfigurationError) as refused:
        descend.run(["objective=digits_mlp", f"optimizer={optimizer}", "steps=9", "compile=true", "metrics=none"])
    assert all(reason in str(refused.value) for reason in reasons)
    assert "set compile=false" in str(refused.value)
