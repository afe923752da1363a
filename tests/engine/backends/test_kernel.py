"""A block taken by a kernel is the block: for every function of few numbers, every optimizer, and metrics."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from toy_networks import toy

from descend.engine.backends import c_program, choose, kernel
from descend.engine.backends.backend import Pattern
from descend.engine.backends.c_program import RUNS_OF_A_THREAD, NoCompiler
from descend.engine.backends.graph import GraphBackend
from descend.engine.backends.kernel import KernelBackend
from descend.engine.backends.source import LANES
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.engine.streams import begin
from descend.graph.entries import Inseparable
from descend.graph.trace import tensors
from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.sweeps.batch import prepare
from descend.sweeps.job import Group, Job
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings

QUIET = ["metrics=none", "derivatives=none"]
EXPRESSION = ["objective=expression", "objective.formula='x**3 + cos(y)'", "objective.start={x: 2.0, y: 1.0}"]

# Each group of the menu with what its choices are tried on.
TRIED_ON = {
    "objective": [],
    "optimizer": ["objective=beale"],
    "schedule": ["objective=beale"],
    "clip": ["objective=beale"],
    "aggregator": ["objective=fonseca_fleming"],
    "op": ["objective=op_at_point"],
}

# By name: what a kernel takes. One that is taken no more fails here, and so does a new choice of the menu that is in
# neither list.
TAKEN = {
    "objective": """
        ackley beale bohachevsky booth branch branin cagrad_toy cubic curve_fit detached dixon_price dtlz2 easom
        expression fonseca_fleming freudenstein_roth goldstein_price himmelblau levy loop matyas mccormick michalewicz
        op_at_point op_on_vector parabola plane powell_singular quadratic rastrigin rosenbrock schwefel
        sine_plus_cosine six_hump_camel sphere square_and_cube styblinski_tang three_hump_camel wood zakharov
    """,
    "optimizer": """
        adabelief adadelta adafactor adagrad adam adamax adamw ademamix adopt asgd barzilai_borwein bfgs came
        dadapt_adam gradient_descent groups lamb lars lion mars momentum nadam nesterov nonlinear_cg polyak prodigy
        radam rmsprop rprop schedule_free_adamw schedule_free_sgd sgd signum soap stochastic_polyak trust_region_cg
    """,
    "schedule": "constant cosine exponential one_cycle step warmup",
    "clip": "none norm value",
    "aggregator": "geometric_mean gradnorm mean sum uncertainty weighted",
    "op": """
        branch fixed_point gelu gradient_clip gradient_reversal gradient_scale guide_relu hard_threshold identity log
        log1mexp loop relu sigmoid silu sin smooth_abs soft_threshold spike straight_through_round straight_through_sign
        subgradient_relu tanh
    """,
}
# By name: what it does not take, and why. One that is taken some day is to be moved up.
LARGE, DRAWS = "a tensor of more than 16 entries", "batches"
RENEWAL, DRAWN, EIGENVECTORS, SOFTMAX = "renewal", "draw", "_linalg_eigh", "_softmax"
CALLED = "is not made of tensor operations alone"
NOT_TAKEN = {
    "objective": {
        **dict.fromkeys(["griewank", "zdt1"], LARGE),  # of 30 and more dimensions
        **dict.fromkeys(["breast_cancer_logistic", "diabetes_linear", "diabetes_ridge"], LARGE),
        **dict.fromkeys(["digits_cnn", "digits_mlp", "digits_mlp_small", "digits_two_tasks"], DRAWS),
        **dict.fromkeys(["mnist_cnn", "mnist_mlp", "module"], DRAWS),
        **dict.fromkeys(["mnist1d_cnn", "mnist1d_gru", "mnist1d_logistic", "mnist1d_mlp"], DRAWS),
        **dict.fromkeys(["mnist_autoencoder", "mnist_resnet", "mnist_vit"], DRAWS),
        **dict.fromkeys(["auto_mpg_mlp", "char_gpt", "deep_quadratic", "noisy_quadratic"], DRAWS),
        **dict.fromkeys([f"pinn/{name}" for name in ("beam", "burgers", "heat", "helmholtz", "kdv", "poisson")], LARGE),
    },
    "optimizer": {
        "lbfgs": LARGE,  # ten pairs of two numbers
        **dict.fromkeys(["cubic", "dogleg", "newton", "trust_region"], EIGENVECTORS),
        **dict.fromkeys(["gauss_newton", "levenberg_marquardt"], "_linalg_svd"),
        **dict.fromkeys(["ekfac", "kfac", "muon", "natural_gradient", "normuon", "sophia_g"], DRAWS),
        "shampoo": RENEWAL,
        **dict.fromkeys(["adahessian", "psgd_kron", "sophia_h"], DRAWN),
        **dict.fromkeys(["adam_then_lbfgs", "newton_cg", "torch"], CALLED),
    },
    "schedule": {},
    "clip": {},
    "aggregator": {
        **dict.fromkeys(["dual_proj", "min_norm", "upgrad"], "argmax"),
        **dict.fromkeys(["dwa", "famo", "random"], SOFTMAX),
        **dict.fromkeys(["cagrad", "nash_mtl", "torchjd"], CALLED),
        "aligned_mtl": EIGENVECTORS,
        "imtl_g": "linalg_pinv",
        "pcgrad": "sort",
    },
    "op": {"softplus": "log_sigmoid_forward"},
}


def each(members: Mapping[str, str | dict[str, str]]) -> list[tuple[str, str]]:
    return [(group, choice) for group, some in members.items() for choice in listed(some)]


def listed(choices: str | dict[str, str]) -> list[str]:
    return choices.split() if isinstance(choices, str) else list(choices)


@pytest.fixture(autouse=True)
def _quickly_compiled(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What is written is tried for all; what the optimizing compiler makes of it, where a test says so."""
    if "optimized" not in request.fixturenames:
        monkeypatch.setattr(c_program, "FLAGS", ("-O0", *c_program.FLAGS[1:]))


@pytest.fixture
def optimized() -> None:
    """Compile as users do."""


Backends = Callable[[bool], GraphBackend]
"""What gives runs at their start: by a kernel, or by torch."""


def made(overrides: Sequence[str]) -> Experiment:
    overrides = [*overrides, "steps=10"]
    return build(compose(overrides), overrides)


def stack(overrides: Sequence[str], rates: Sequence[float] = (0.1, 0.2), due: tuple[str, ...] = ()) -> Backends:
    """Return what gives runs of several learning rates at their start, with these metrics, on up to two threads."""
    experiment = made(overrides)
    experiment = replace(experiment, metrics={name: experiment.metrics[name] for name in due})
    jobs = tuple(Job(i, (), {}) for i in range(len(rates)))
    seeds, objectives = [0] * len(rates), [experiment.objective] * len(rates)
    group = Group(jobs, experiment, {("optimizer", "lr"): list(rates)}, seeds=seeds, objectives=objectives)
    prepared = prepare(group)
    program = prepared.recording.program
    assert program is not None
    beginning = begin(group.template, group.seeds, group.objectives, prepared.own_batches)
    own = {leaf: [float(x)] * len(rates) for leaf, x in program.numbers.items()} | group.numbers
    numbers = [choose.wide(own[leaf], torch.device("cpu")) for leaf in program.leaves]

    def start(by_kernel: bool) -> GraphBackend:
        given = program, numbers, beginning.origin
        return KernelBackend(*given, threads=2) if by_kernel else GraphBackend(*given)

    return start


def take(backend: GraphBackend, pattern: Pattern) -> list[Tensor]:
    """Return the carry after the steps of a pattern, and what they told."""
    told = []
    for summary in backend.advance([None] * len(pattern), pattern):
        told += tensors(summary[:-1])
        told += [x for at in sorted(summary.observed) for _, x in sorted(summary.observed[at].items())]
    return [*backend.columns(range(len(summary.lowest))), *told]


def assert_same(backends: Backends, due: tuple[str, ...] = (), rtol: float = 1e-12) -> None:
    pattern = ((True, due), (bool(due), due), (True, due))  # what is observed is recorded
    by_kernel, by_torch = backends(True), backends(False)
    assert isinstance(by_kernel, KernelBackend)
    assert by_kernel._kernel(due) is not None
    found, expected = take(by_kernel, pattern), take(by_torch, pattern)
    assert [x.dtype for x in found] == [x.dtype for x in expected]
    torch.testing.assert_close(found, expected, rtol=rtol, atol=rtol / 10, equal_nan=True)


def overrides_of(group: str, choice: str) -> list[str]:
    if choice in ("muon", "normuon", "ekfac", "kfac", "natural_gradient", "sophia_g"):  # they are for networks
        return ["objective=digits_mlp_small", f"optimizer={choice}", *QUIET]
    own = EXPRESSION if choice == "expression" else [f"{group}={choice}"]
    if choice == "log1mexp":  # of negative numbers only
        own = [*own, "objective.start={x: -0.7}"]
    return [*TRIED_ON[group], *own, *toy(choice), *QUIET]


@pytest.mark.parametrize("group", TRIED_ON)
def test_every_choice_of_the_menu_is_in_one_of_the_lists(group: str) -> None:
    folder = FOLDER / group
    found = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))
    assert sorted([*listed(TAKEN[group]), *NOT_TAKEN[group]]) == found


@pytest.mark.parametrize(("group", "choice"), each(TAKEN))
def test_every_choice(group: str, choice: str) -> None:
    assert_same(stack(overrides_of(group, choice)))


@pytest.mark.parametrize(("group", "choice"), each(TAKEN))
def test_every_choice_is_run_by_a_kernel(group: str, choice: str) -> None:
    assert Run(made([*overrides_of(group, choice), "compile=true"])).loop.backend.name == "kernel"


@pytest.mark.parametrize(("group", "choice"), each(NOT_TAKEN))
def test_why_a_choice_is_not_taken(group: str, choice: str) -> None:
    reason, experiment = NOT_TAKEN[group][choice], made([*overrides_of(group, choice), "compile=false"])
    backend = Run(experiment).loop.backend
    if reason == CALLED:
        assert backend.name == "python"
        assert CALLED in (choose.unrecordable(experiment) or "")
        return
    assert isinstance(backend, GraphBackend)
    program = backend.program
    if reason == DRAWS:
        assert program.draws
    elif reason == LARGE:
        assert not choose.may_take(program)
    else:
        with pytest.raises(Inseparable, match=reason):
            KernelBackend(
                program,
                choose.numbers_of_one(program),
                begin(experiment, [0], [experiment.objective], own=False).origin,
            )


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("optimizer", ["adam", "rprop", "nadam"])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-12), ("float32", 1e-4)])
def test_optimized(optimizer: str, dtype: str, rtol: float) -> None:
    assert_same(stack([f"optimizer={optimizer}", "objective=ackley", f"dtype={dtype}", *QUIET]), rtol=rtol)


def test_metrics_and_several_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "STEPS_OF_A_KERNEL", 1)  # a kernel for every set of metrics
    names = ("weighted_losses", "gradient_norm", "gradient_cosine", "update_norm", "parameter_values")
    own = ["objective=fonseca_fleming", "aggregator=mean", "derivatives=none", "stop.gradient_norm=1e-9"]
    due = tuple(f"metrics.{name}" for name in names)
    assert_same(stack(own, due=due), due)


@pytest.mark.usefixtures("optimized")
@pytest.mark.parametrize("runs", [LANES - 1, LANES + 1, 2 * RUNS_OF_A_THREAD + 3])
def test_any_number_of_runs(runs: int) -> None:
    rates = [0.0001 * (1 + i) for i in range(runs)]  # of 3 and more, rounding is amplified beyond the bound
    assert_same(stack(["objective=rosenbrock", "optimizer=adam", *QUIET], rates))


def test_a_run_that_diverges_is_told_and_the_others_are_not() -> None:
    backend = stack(["objective=rosenbrock", "optimizer=sgd", *QUIET], [0.0001, 1.0])(True)
    [summary] = backend.advance([None] * 50, ((True, ()),) * 50)
    assert summary.finite.tolist() == [True, False]
    assert summary.lowest.isfinite().all()
    assert summary.lowest[0] == summary.totals[:, 0].min()


def test_steps_that_a_kernel_cannot_take_go_between_those_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "STEPS_OF_A_KERNEL", 1)
    overrides = ["objective=rosenbrock", "optimizer=adam", "metrics=none", "derivatives=second"]
    due = ("derivatives.hessian_exact",)
    pattern = ((True, ()), (True, ()), (True, due), (True, ()))
    backends = stack(overrides, due=due)
    by_kernel, by_torch = backends(True), backends(False)
    assert isinstance(by_kernel, KernelBackend)
    assert by_kernel._kernel(due) is None
    summaries = by_kernel.advance([None] * 4, pattern)
    [whole] = by_torch.advance([None] * 4, pattern)
    assert [list(summary.observed) for summary in summaries] == [[], [2], []]
    torch.testing.assert_close(summaries[1].observed[2], whole.observed[2], rtol=1e-10, atol=1e-12)
    ends = [backend.columns(range(2)) for backend in (by_kernel, by_torch)]
    torch.testing.assert_close(*ends, rtol=1e-12, atol=1e-14)


def test_what_is_more_than_arithmetic_is_named() -> None:
    due = ("derivatives.hessian_exact",)
    backend = stack(["objective=beale", "optimizer=adam", "metrics=none", "derivatives=second"], due=due)(True)
    assert isinstance(backend, KernelBackend)
    with pytest.raises(Inseparable, match="aten"):
        backend._made(due)


def test_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    overrides = ["objective=rosenbrock", "optimizer.lr=0.1,0.2", "steps=5000", *QUIET]

    def chosen(*more: str) -> str:
        (group,) = plan([*overrides, *more], Settings()).groups
        recording = prepare(group).recording
        origin = begin(group.template, group.seeds, group.objectives, False).origin
        assert recording.program is not None
        numbers = [x.expand(2) for x in recording.program.numbers.values()]
        return choose.choose(recording, numbers, origin).name

    assert chosen() == "graph"
    with pytest.raises(NoCompiler, match=r"no-such-compiler.*install a C compiler.*compile=false"):
        chosen("compile=true")
