"""A block taken by a kernel is the block: for every function of few numbers, every optimizer, and metrics."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from descend.sweeps.block import KernelBlock, Pattern
from descend.sweeps.runs import Runs
from descend.sweeps.streams import begin
from torch import Tensor

from descend.engine.backends import kernel
from descend.engine.backends.kernel import RUNS_OF_A_THREAD, NoCompiler
from descend.engine.backends.source import LANES
from descend.graph.entries import Inseparable
from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.sweeps.batch import Batched, prepare
from descend.sweeps.conduct import plan
from descend.sweeps.job import Group, Job
from descend.sweeps.settings import Settings

QUIET = ["metrics=none", "derivatives=none"]
DATA = ("mnist", "digits", "breast_cancer", "diabetes")
EXPRESSION = ["objective=expression", "objective.formula='x**3 + cos(y)'", "objective.start={x: 2.0, y: 1.0}"]

# Each group of the menu with what its choices are tried on, and those that a kernel cannot take: they have too many
# entries, or do more than arithmetic between entries, or cannot be stacked at all.
TRIED_ON = {
    "objective": [],
    "optimizer": ["objective=beale"],
    "schedule": ["objective=beale"],
    "clip": ["objective=beale"],
    "aggregator": ["objective=fonseca_fleming"],
    "op": ["objective=op_at_point"],
}
LEFT_OUT = {
    "objective": {"griewank", "zdt1"},
    "optimizer": {"newton", "newton_cg", "torch", "adam_then_lbfgs"},
    "aggregator": {
        *("aligned_mtl", "dual_proj", "dwa", "famo", "imtl_g", "min_norm", "pcgrad", "random", "upgrad"),
        *("cagrad", "nash_mtl", "torchjd"),
    },
    "op": {"softplus"},
}
MEMBERS = [
    (group, path.stem)
    for group in TRIED_ON
    for path in sorted((FOLDER / group).glob("*.yaml"))
    if not path.stem.startswith(DATA) and path.stem not in LEFT_OUT.get(group, ())
]


@pytest.fixture(autouse=True)
def _quickly_compiled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What is written is tried for all; what the optimizing compiler makes of it, where a test says so."""
    if "optimized" not in request.fixturenames:
        monkeypatch.setattr(kernel, "FLAGS", ("-O1", *kernel.FLAGS[1:]))


@pytest.fixture
def optimized() -> None:
    """Compile as users do."""


def stack(
    overrides: Sequence[str], rates: Sequence[float] = (0.1, 0.2), due: tuple[str, ...] = ()
) -> Callable[[bool], Runs]:
    """Return what gives runs of several learning rates at their start, compiled or not, on up to two threads."""
    experiment = build(compose([*overrides, "steps=10"]), overrides)
    jobs = tuple(Job(i, (), {}) for i in range(len(rates)))
    same = {"seeds": [0] * len(rates), "objectives": [experiment.objective] * len(rates)}
    group = Group(jobs, experiment, {("optimizer", "lr"): list(rates)}, **same)
    program, numbers = prepare(group)
    beginning = begin(group)
    start = partial(Runs, program, numbers, beginning.params, beginning.streams)
    return lambda compile: start(True, 2, {(), due}) if compile else start()


def take(runs: Runs, pattern: Pattern) -> list[Tensor]:
    """Return the carry after the steps of a pattern, and what they told."""
    told = []
    for summary in runs.advance([None] * len(pattern), pattern):
        told += [x for x in summary[:-1] if x is not None]
        told += [x for at in sorted(summary.observed) for _, x in sorted(summary.observed[at].items())]
    return [*runs.carry, *told]


def assert_same(runs: Callable[[bool], Runs], due: tuple[str, ...] = (), rtol: float = 1e-12) -> None:
    pattern = ((True, due), (bool(due), due), (True, due))  # what is observed is recorded
    by_kernel, by_torch = runs(True), runs(False)
    assert by_kernel._kernel(due) is not None
    found, expected = take(by_kernel, pattern), take(by_torch, pattern)
    assert [x.dtype for x in found] == [x.dtype for x in expected]
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol / 10, equal_nan=True)


@pytest.mark.parametrize(("group", "choice"), MEMBERS)
def test_every_choice(group: str, choice: str) -> None:
    own = EXPRESSION if choice == "expression" else [f"{group}={choice}"]
    if choice == "log1mexp":  # of negative numbers only
        own.append("objective.start={x: -0.7}")
    assert_same(stack([*TRIED_ON[group], *own, *QUIET]))


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("optimizer", ["adam", "rprop", "nadam"])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-4)])
def test_optimized(optimizer: str, dtype: str, rtol: float) -> None:
    assert_same(stack([f"optimizer={optimizer}", "objective=ackley", f"dtype={dtype}", *QUIET]), rtol=rtol)


def test_metrics_and_several_losses() -> None:
    names = ("weighted_losses", "gradient_norm", "gradient_cosine", "update_norm", "parameter_values")
    due = tuple(f"metrics.{name}" for name in names)
    own = ["objective=fonseca_fleming", "aggregator=mean", "derivatives=none", "stop.gradient_norm=1e-9"]
    assert_same(stack(own, due=due), due)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("runs", [LANES - 1, LANES + 1, 2 * RUNS_OF_A_THREAD + 3])
def test_any_number_of_runs(runs: int) -> None:
    rates = [0.001 * (1 + i) for i in range(runs)]
    assert_same(stack(["objective=rosenbrock", "optimizer=adam", *QUIET], rates))


def test_a_run_that_diverges_is_told_and_the_others_are_not() -> None:
    runs = stack(["objective=rosenbrock", "optimizer=sgd", *QUIET], [0.0001, 1.0])(True)
    [summary] = runs.advance([None] * 50, ((True, ()),) * 50)
    assert summary.finite.tolist() == [True, False]
    assert summary.lowest.isfinite().all()
    assert summary.lowest[0] == summary.totals[:, 0].min()


def test_steps_that_a_kernel_cannot_take_go_between_those_it_can() -> None:
    overrides = ["objective=rosenbrock", "optimizer=adam", "metrics=none", "derivatives=second"]
    due = ("derivatives.hessian_exact",)
    pattern = ((True, ()), (True, ()), (True, due), (True, ()))
    runs = stack(overrides, due=due)
    by_kernel, by_torch = runs(True), runs(False)
    assert by_kernel._kernel(due) is None
    summaries = by_kernel.advance([None] * 4, pattern)
    [whole] = by_torch.advance([None] * 4, pattern)
    assert [list(summary.observed) for summary in summaries] == [[], [2], []]
    torch.testing.assert_close(summaries[1].observed[2], whole.observed[2], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(by_kernel.carry, by_torch.carry, rtol=1e-12, atol=1e-14)


def test_what_is_more_than_arithmetic_is_named() -> None:
    runs = stack(["objective=beale", "optimizer=adam", "metrics=none", "derivatives=second"])
    with pytest.raises(Inseparable, match="aten"):
        KernelBlock(runs(False).program, ("derivatives.hessian_exact",), 1)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    overrides = ["objective=rosenbrock", "optimizer.lr=0.1,0.2", "steps=5000", *QUIET]
    (group,) = plan(overrides, Settings()).groups
    program, numbers = prepare(group)
    assert not Batched(program, group, numbers, 1, lambda steps: None)._runs.compiled
    (group,) = plan([*overrides, "compile=true"], Settings()).groups
    program, numbers = prepare(group)
    with pytest.raises(NoCompiler, match=r"no-such-compiler.*install a C compiler.*compile=false"):
        Batched(program, group, numbers, 1, lambda steps: None)
