"""The promise of a sweep: a run in it gives, to the bit, what the same overrides give alone.

Whatever the number of steps, the height of the stack, the neighbours, their order and the cut into chunks. Every member
of every family that stacks is named here: one that stops stacking fails, and so does a new one that is not named.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
import torch
from toy_networks import TOY, toy

import descend
from descend import menu
from descend.engine.numbers import leaves
from descend.engine.result import Result
from descend.menu import FOLDER
from descend.sweeps.batch import run_group
from descend.sweeps.group import groups
from descend.sweeps.job import Chunk
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

MEMORY = 1 << 33
QUIET = ["metrics=none", "derivatives=none"]
SMALL_NET = ["objective=digits_mlp", "objective.network.hidden=[8]", "objective.batch_size=32"]
TWO_LOSSES = ["objective=fonseca_fleming"]
RATES = "optimizer.lr=0.001,0.003"

# They take a matrix among the parameters, and have groups with rates of their own.
OF_MATRICES = dict.fromkeys(("muon", "normuon"), "optimizer.groups.matrices.optimizer.lr=0.001,0.003")

# They compare the losses of steps, which must be of the same data.
TRYING = {"bfgs", "lbfgs", "nonlinear_cg", "trust_region_cg"}
# A network has too many parameters for a test of them, or is no sum of squares.
WHOLE_HESSIAN = {"cubic", "dogleg", "newton", "trust_region"}
OF_RESIDUALS = {"gauss_newton", "levenberg_marquardt"}
OF_OUTPUTS = {"ekfac", "kfac", "natural_gradient", "sophia_g"}

STACKS = {
    "objective": {
        "ackley", "auto_mpg_mlp", "beale", "bohachevsky", "booth", "branch", "branin", "breast_cancer_logistic",
        "cagrad_toy", "char_gpt", "cubic", "curve_fit", "deep_quadratic", "detached", "diabetes_linear",
        "diabetes_ridge", "digits_cnn", "digits_mlp", "digits_mlp_small", "digits_two_tasks", "dixon_price", "dtlz2",
        "easom", "expression", "fonseca_fleming", "freudenstein_roth", "goldstein_price", "griewank", "himmelblau",
        "levy", "loop", "matyas", "mccormick", "michalewicz", "mnist1d_cnn", "mnist1d_gru", "mnist1d_logistic",
        "mnist1d_mlp", "mnist_autoencoder", "mnist_cnn", "mnist_mlp", "mnist_resnet", "mnist_vit", "module",
        "noisy_quadratic", "op_at_point", "op_on_vector", "parabola", "pinn/beam", "pinn/burgers", "pinn/heat",
        "pinn/helmholtz", "pinn/kdv", "pinn/poisson", "plane", "powell_singular", "quadratic", "rastrigin",
        "rosenbrock", "schwefel", "sine_plus_cosine", "six_hump_camel", "sphere", "square_and_cube", "styblinski_tang",
        "three_hump_camel", "wood", "zakharov", "zdt1",
    },
    "optimizer": {
        "adabelief", "adadelta", "adafactor", "adagrad", "adahessian", "adam", "adamax", "adamw", "ademamix", "adopt",
        "asgd", "barzilai_borwein", "bfgs", "came", "cubic", "dadapt_adam", "dogleg", "ekfac", "gauss_newton",
        "gradient_descent", "groups", "kfac", "lamb", "lars", "lbfgs", "levenberg_marquardt", "lion", "mars",
        "momentum", "muon", "nadam", "natural_gradient", "nesterov", "newton", "nonlinear_cg", "normuon", "polyak",
        "prodigy", "psgd_kron", "radam", "rmsprop", "rprop", "schedule_free_adamw", "schedule_free_sgd", "sgd",
        "shampoo", "signum", "soap", "sophia_g", "sophia_h", "stochastic_polyak", "trust_region", "trust_region_cg",
    },
    "aggregator": {
        "aligned_mtl", "dual_proj", "dwa", "famo", "geometric_mean", "gradnorm", "imtl_g", "mean", "min_norm", "pcgrad",
        "random", "sum", "uncertainty", "upgrad", "weighted",
    },
    "schedule": {"constant", "cosine", "exponential", "one_cycle", "step", "warmup"},
    "clip": {"none", "norm", "value"},
    "metrics": {"all", "default", "losses", "none", "paths"},
    "derivatives": {"first", "none", "partials", "second", "third"},
}  # fmt: skip

ONE_BY_ONE = {
    "optimizer": {"adam_then_lbfgs", "newton_cg", "torch"},
    "aggregator": {"cagrad", "nash_mtl", "torchjd"},
    "metrics": {"curvature"},
}

# One of a kind, at a hundred times the cost: few steps, or held by another that is built of the same operations.
HEAVY = {"mnist_mlp", "digits_cnn", "pinn/poisson", "digits_two_tasks", *TOY, "mnist1d_cnn", "mnist1d_mlp"}
HELD_BY_ANOTHER = {"mnist_cnn", "pinn/beam", "pinn/burgers", "pinn/heat", "pinn/helmholtz", "pinn/kdv"}


def sweep(overrides: Sequence[str], memory: int = MEMORY) -> list[Chunk]:
    """Run a sweep whose jobs are one group; return its chunks."""
    [group] = groups(jobs(overrides, Grid()), built)
    assert group.serial is None, group.serial
    return list(run_group(group, memory))


def check(overrides: Sequence[str], steps: int = 200, seeds: str = "seed=1,2") -> None:
    """Hold the last run of a sweep against the same run alone."""
    [chunk] = sweep([*overrides, f"steps={steps}", "dtype=float64", *([seeds] if seeds else [])])
    same(alone(chunk, -1), chunk, -1)


def alone(chunk: Chunk, place: int) -> Result:
    return descend.run(list(chunk.jobs[place].overrides))


def same(own: Result, chunk: Chunk, place: int) -> None:
    """Hold all that a run left against what it left in a stack."""
    found = chunk.results[place]
    if own.many_parameters:  # which a sweep leaves to the checkpoints
        own = replace(own, parameters=None)
    for name in ("status", "reason", "steps", "evaluations", "losses", "metrics", "parameters", "values"):
        assert repr(getattr(own, name)) == repr(getattr(found, name)), name
    for name in ("value", "best_value", "gradient_norm"):
        a, b = getattr(own, name), getattr(found, name)
        assert a == b or (math.isnan(a) and math.isnan(b)), f"{name}: {a!r} alone, {b!r} in a stack"
    assert own.provenance["backend"] == found.provenance["backend"]
    same_records(own.records, chunk.curves.filter(run=chunk.jobs[place].index))


def same_records(own: pl.DataFrame, found: pl.DataFrame) -> None:
    key = ["name", "step"]
    own, found = (frame.drop("run").sort(key) for frame in (own, found))
    assert own.select(key).equals(found.select(key))
    assert own.select(pl.col("value").fill_nan(None)).equals(found.select(pl.col("value").fill_nan(None)))


@pytest.mark.parametrize("family", STACKS)
def test_every_member_is_named(family: str) -> None:
    named = STACKS[family] | ONE_BY_ONE.get(family, set())
    assert set(menu.choices(FOLDER / family)) | ({"none"} if family in ("metrics", "derivatives") else set()) == named


@pytest.mark.parametrize("objective", sorted(STACKS["objective"] - HELD_BY_ANOTHER))
def test_objective(objective: str) -> None:
    steps = 3 if objective in HEAVY else 30 if objective.startswith(("digits", "mnist")) else 200
    rates = "optimizer.lr=0.00001,0.00003"
    check([f"objective={objective}", *toy(objective), "optimizer=sgd", rates, *QUIET], steps)


@pytest.mark.parametrize("optimizer", sorted(STACKS["optimizer"]))
def test_optimizer(optimizer: str) -> None:
    own = [f"optimizer={optimizer}", OF_MATRICES.get(optimizer, RATES), *QUIET]
    if optimizer not in {*OF_MATRICES, *OF_OUTPUTS}:
        check(["objective=himmelblau", *own], seeds="")
    if optimizer not in WHOLE_HESSIAN | OF_RESIDUALS:
        whole = ["objective.batch_size=null"] if optimizer in TRYING else []
        check([*SMALL_NET, *whole, *own], 10)


@pytest.mark.parametrize("number", ["rest.optimizer.lr", "vectors.optimizer.eps", "rest.optimizer.weight_decay"])
def test_a_number_of_a_group(number: str) -> None:
    own = [*SMALL_NET, "optimizer=groups", f"optimizer.groups.{number}=0.01,0.002", "schedule=cosine", *QUIET]
    check(own, 10)


@pytest.mark.parametrize("aggregator", sorted(STACKS["aggregator"]))
def test_aggregator(aggregator: str) -> None:
    check([*TWO_LOSSES, f"aggregator={aggregator}", RATES, *QUIET])


@pytest.mark.parametrize("schedule", sorted(STACKS["schedule"]))
def test_schedule(schedule: str) -> None:
    check(["objective=rosenbrock", f"schedule={schedule}", RATES, *QUIET])


@pytest.mark.parametrize("clip", sorted(STACKS["clip"]))
def test_clip(clip: str) -> None:
    check(["objective=rosenbrock", f"clip={clip}", RATES, *QUIET])


@pytest.mark.parametrize("metrics", ["all", "losses", "paths"])
def test_metrics(metrics: str) -> None:
    check(["objective=rosenbrock", f"metrics={metrics}", RATES, "derivatives=none"], 40)
    check([*SMALL_NET, f"metrics={metrics}", RATES, "derivatives=none"], 12)


@pytest.mark.parametrize("derivatives", ["partials", "third"])
def test_derivatives(derivatives: str) -> None:
    check(["objective=himmelblau", f"derivatives={derivatives}", RATES, "metrics=none"], 60)


@pytest.mark.parametrize(
    "op", ["straight_through_sign", "straight_through_round", "spike", "gradient_reversal", "silu"]
)
def test_op_in_a_network(op: str) -> None:
    check([*SMALL_NET, f"op={op}", RATES, *QUIET], 20)


RULES = ["stop.value=1.5", "stop.gradient_norm=2.0", "stop.plateau=20"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("compile", ["true", "false"])
def test_rule(rule: str, compile: str) -> None:
    own = ["objective=rosenbrock", "optimizer=adam", "optimizer.lr=0.01,0.1,0.05", rule, f"compile={compile}", *QUIET]
    [chunk] = sweep([*own, "steps=1500"])
    for place in range(3):
        same(alone(chunk, place), chunk, place)
    assert len({result.steps for result in chunk.results}) > 1


@pytest.mark.parametrize("optimizer", ["lbfgs", "trust_region"])
@pytest.mark.parametrize("rule", ["stop.xtol=1e-3", "stop.ftol=1e-3"])
def test_rule_on_what_a_trial_changes(rule: str, optimizer: str) -> None:
    own = ["objective=freudenstein_roth", f"optimizer={optimizer}", "optimizer.lr=0.05,0.3,1", rule, *QUIET]
    [chunk] = sweep([*own, "compile=false", "steps=200"])
    for place in range(3):
        same(alone(chunk, place), chunk, place)
    assert {result.status for result in chunk.results} == {"converged"}
    assert len({result.steps for result in chunk.results}) > 1


def by_steps(optimizer: str, steps: int, compile: str) -> Any:
    """Thousands of steps by torch take seconds: adam's 5,000 stand for them in the usual run."""
    long = compile == "false" and (steps > 5_000 or (steps > 1_000 and optimizer != "adam"))
    return pytest.param(optimizer, steps, compile, marks=[pytest.mark.slow] if long else [])


@pytest.mark.parametrize(
    ("optimizer", "steps", "compile"),
    [
        by_steps(optimizer, steps, compile)
        for optimizer in ("rmsprop", "adam", "nadam")
        for steps in (1, 200, 1_000, 5_000, 20_000)
        for compile in ("auto", "true", "false")
    ],
)
def test_any_number_of_steps(optimizer: str, steps: int, compile: str) -> None:
    rates = "optimizer.lr=0.01,0.02"
    own = ["objective=rosenbrock", f"optimizer={optimizer}", rates, f"compile={compile}", *QUIET]
    check(own, steps, seeds="")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_network_over_many_steps(dtype: str, threads: int) -> None:
    overrides = [*SMALL_NET, "optimizer=adam", RATES, "seed=0,3", "steps=300", f"dtype={dtype}", f"threads={threads}"]
    [chunk] = sweep([*overrides, *QUIET])
    same(alone(chunk, 3), chunk, 3)


HEIGHTS = [1, 2, 3, 64, 1000]


@pytest.mark.parametrize("height", HEIGHTS)
@pytest.mark.parametrize(
    ("objective", "steps"), [("rosenbrock", 2000), ("rosenbrock", 300), ("ackley", 1500), ("levy", 300)]
)
def test_any_height(objective: str, steps: int, height: int) -> None:
    rates = ",".join(str(0.01 + 1e-5 * i) for i in range(height))
    own = [f"objective={objective}", "optimizer=adam", f"optimizer.lr={rates}", f"steps={steps}", *QUIET]
    [chunk] = sweep(own)
    for place in {0, height // 2, height - 1}:
        same(alone(chunk, place), chunk, place)


@pytest.mark.parametrize("height", [1, 2, 3, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_height_of_networks(height: int, dtype: str) -> None:
    rates = ",".join(str(0.001 + 1e-4 * i) for i in range(height))
    own = ["objective=digits_mlp_small", f"optimizer.lr={rates}", "steps=20", f"dtype={dtype}", *QUIET]
    [chunk] = sweep(own)
    for place in {0, height - 1}:
        same(alone(chunk, place), chunk, place)


@pytest.mark.parametrize("fixed", [["steps=1200"], ["steps=100"], ["steps=100", "compile=true"]])
def test_neighbours_order_and_chunks_change_nothing(fixed: list[str]) -> None:
    own = ["objective=himmelblau", "optimizer=adam", *fixed, *QUIET]
    given = sweep([*own, "optimizer.lr=0.01,0.02,0.5,0.03"])[0]
    turned = sweep([*own, "optimizer.lr=0.03,0.5,0.02,0.01"])[0]
    wide = ",".join(map(str, [0.01, *(0.1 + 0.001 * i for i in range(40))]))
    cut = sweep([*own, f"optimizer.lr={wide}"], memory=10_000)
    assert len(cut) > 1
    assert repr(given.results[0].parameters) == repr(turned.results[3].parameters) == repr(cut[0].results[0].parameters)
    assert repr(given.results[2].parameters) == repr(turned.results[1].parameters)


@pytest.mark.parametrize("steps", [300, 3_000])
def test_a_neighbour_that_diverges_changes_nothing(steps: int) -> None:
    own = ["objective=rosenbrock", "optimizer=sgd", f"steps={steps}", *QUIET]
    [chunk] = sweep([*own, "optimizer.lr=0.0005,1.0,0.001"])
    assert [result.status for result in chunk.results] == ["finished", "diverged", "finished"]
    for place in range(3):
        same(alone(chunk, place), chunk, place)


def test_looking_changes_nothing() -> None:
    for own in (["objective=rosenbrock", "steps=1500"], ["objective=rosenbrock", "steps=90"], [*SMALL_NET, "steps=20"]):
        plain = descend.run([*own, *QUIET])
        for metrics in ("all", "curvature"):
            watched = descend.run([*own, f"metrics={metrics}", "derivatives=second"])
            assert (watched.value, watched.gradient_norm) == (plain.value, plain.gradient_norm)


def test_seeds_that_share_a_chunk() -> None:
    """A chunk whose runs all have one seed stands beside chunks of other seeds."""
    own = [*SMALL_NET, "optimizer.lr=0.01,0.02,0.03", "seed=1,2", "steps=5", *QUIET]
    whole = sweep(own)[0]
    one = max(1, sum(x.numel() for x in built(own[:2]).objective.init(torch.Generator()).values()))
    cut = sweep(own, memory=one * 3000)
    for chunk in cut:
        for result, job in zip(chunk.results, chunk.jobs, strict=True):
            assert result.value == whole.results[job.index].value


AT_LEAST_ONE = {"optimizer.d"}
"""Fields that their classes refuse below 1."""

TRIED_ON = {
    "objective": [],
    "optimizer": ["objective=beale"],
    "schedule": ["objective=beale", "optimizer=sgd"],
    "clip": ["objective=beale", "optimizer=sgd", "optimizer.lr=0.1"],
    "aggregator": TWO_LOSSES,
    "op": ["objective=op_on_vector", "objective.start={x: [-0.7, -0.2, -1.3]}"],
}


def tried_on(family: str, member: str) -> list[str]:
    return SMALL_NET if member in OF_OUTPUTS else TRIED_ON[family]


def fields_of(family: str, member: str) -> list[tuple[str, float]]:
    """Every float field of a member, with its value."""
    overrides = [*tried_on(family, member), f"{family}={member}", "steps=3", *QUIET]
    part = ("objective", "op") if family == "op" else (family,)
    found = leaves(built(overrides))
    return [
        (".".join([family, *map(str, leaf[len(part) :])]), value)
        for leaf, value in found.items()
        if leaf[: len(part)] == part and len(leaf) == len(part) + 1 and not isinstance(leaf[-1], int)
    ]


@pytest.mark.long
@pytest.mark.parametrize("family", TRIED_ON)
def test_every_number_of_every_member_reaches_its_run(family: str) -> None:
    """However a class uses a number, each of two values in a sweep gives what it gives alone."""
    tried = 0
    for member in (
        sorted(STACKS[family] - HELD_BY_ANOTHER - HEAVY) if family in STACKS else menu.choices(FOLDER / family)
    ):
        if member.startswith(("mnist", "digits")):
            continue
        for key, value in fields_of(family, member):
            if member in ("nesterov", "sgd") and key == "optimizer.dampening":
                continue  # it must be 0 there
            own = [*tried_on(family, member), f"{family}={member}", "steps=3", *QUIET]
            factor = 1.1 if key in AT_LEAST_ONE else 0.9
            two = [value or 0.25, factor * value or 0.2]
            swept = jobs([*own, f"{key}={two[0]},{two[1]}"], Grid())
            chunks = [chunk for group in groups(swept, built) for chunk in run_group(group, MEMORY)]
            for chunk in chunks:
                for place in range(len(chunk.jobs)):
                    same(alone(chunk, place), chunk, place)
            tried += 1
    assert tried > 0
