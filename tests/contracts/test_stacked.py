"""The promise of a sweep: a run of a stacked program gives what the same overrides give alone.

Every objective, optimizer, aggregator, metric, schedule and clipping of the menu is held to it, each found by its YAML,
over 200 steps in float64 to 1e-10 of the largest number compared.
"""

import math
from collections.abc import Sequence

import polars as pl
import pytest

import descend
from descend import menu
from descend.engine.result import Result
from descend.menu import FOLDER
from descend.sweeps.batch import run_group
from descend.sweeps.conduct import built
from descend.sweeps.group import groups
from descend.sweeps.space import Grid, jobs

STEPS = 200
MEMORY = 1 << 31
SMALL_NET = ["objective=digits_mlp", "objective.network.hidden=[8]", "objective.batch_size=32"]
SEVERAL_LOSSES = ["objective=fonseca_fleming"]
# Convolutions and MNIST say nothing that the digits nets do not, at a hundred times the cost: few steps, or none. One
# differential equation stands for all, which differ in formulas alone: tracing their derivatives takes many seconds.
HEAVY = {"mnist_mlp", "digits_cnn", "pinn/poisson"}
EQUATIONS = {f"pinn/{path.stem}" for path in (FOLDER / "objective/pinn").glob("*.yaml")}
LEFT_OUT = ({"mnist_cnn", "digits_mlp_small"} | EQUATIONS) - HEAVY
LR = "optimizer.lr=0.001,0.003"


def choices(group: str) -> list[str]:
    """Return the choices of a group."""
    return menu.choices(FOLDER / group)


def check(overrides: Sequence[str], steps: int = STEPS) -> None:
    """Run a small sweep stacked, and alone its last run, every number of which differs from the template's; compare."""
    made = jobs([*overrides, f"steps={steps}", "dtype=float64", "seed=1,2"], Grid())
    for group in groups(made, built):
        if group.serial is not None:
            pytest.skip(group.serial)
        (chunk,) = run_group(group, MEMORY)
        alone, stacked = descend.run(list(chunk.jobs[-1].overrides)), chunk.results[-1]
        same_result(alone, stacked)
        same_records(alone.records, chunk.curves.filter(run=chunk.jobs[-1].index))


def same_result(alone: Result, stacked: Result) -> None:
    assert (alone.status, alone.steps, alone.evaluations) == (stacked.status, stacked.steps, stacked.evaluations)
    for name in ("value", "best_value", "gradient_norm"):
        scale = max(1.0, abs(alone.best_value))
        assert math.isclose(getattr(alone, name), getattr(stacked, name), rel_tol=1e-10, abs_tol=1e-10 * scale), name
    assert alone.losses == pytest.approx(stacked.losses, rel=1e-10, abs=1e-10)
    assert alone.metrics == pytest.approx(stacked.metrics, rel=1e-10, abs=1e-10)


def same_records(alone: pl.DataFrame, stacked: pl.DataFrame) -> None:
    key = ["name", "step"]
    alone, stacked = (frame.drop("run").sort(key) for frame in (alone, stacked))
    assert alone.select(key).equals(stacked.select(key))
    values = pl.DataFrame({"name": alone["name"], "alone": alone["value"], "stacked": stacked["value"]})
    assert values["alone"].is_finite().equals(values["stacked"].is_finite())
    finite = values.filter(pl.col("alone").is_finite())
    scale = pl.col("alone").abs().max().over("name").clip(lower_bound=1e-300)
    worst = finite.select(((pl.col("alone") - pl.col("stacked")).abs() / scale).max()).item()
    assert worst is None or worst <= 1e-9


@pytest.mark.parametrize("objective", [name for name in choices("objective") if name not in LEFT_OUT])
def test_objective(objective: str) -> None:
    check(
        [f"objective={objective}", "optimizer=sgd", "optimizer.lr=0.00001,0.00003", "metrics=none", "derivatives=none"],
        3 if objective in HEAVY else STEPS,
    )


@pytest.mark.parametrize("optimizer", choices("optimizer"))
def test_optimizer_on_a_function(optimizer: str) -> None:
    check(["objective=himmelblau", f"optimizer={optimizer}", LR, "metrics=none", "derivatives=none"])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lion"])
def test_optimizer_on_a_network(optimizer: str) -> None:
    check([*SMALL_NET, f"optimizer={optimizer}", LR, "metrics=none", "derivatives=none"], 20)


@pytest.mark.parametrize("aggregator", choices("aggregator"))
def test_aggregator(aggregator: str) -> None:
    check([*SEVERAL_LOSSES, f"aggregator={aggregator}", LR, "metrics=none", "derivatives=none"])


@pytest.mark.parametrize("schedule", choices("schedule"))
def test_schedule(schedule: str) -> None:
    check(["objective=rosenbrock", f"schedule={schedule}", LR, "metrics=none", "derivatives=none"])


@pytest.mark.parametrize("clip", choices("clip"))
def test_clip(clip: str) -> None:
    check(["objective=rosenbrock", f"clip={clip}", LR, "metrics=none", "derivatives=none"])


# Left out is what another choice holds too: `all` every metric of `default`, `third` those of `first` and `second`.


@pytest.mark.parametrize("metrics", sorted({*choices("metrics")} - {"none", "default"}))
def test_metrics(metrics: str) -> None:
    check(["objective=rosenbrock", f"metrics={metrics}", LR, "derivatives=none"], 40)
    check([*SMALL_NET, f"metrics={metrics}", LR, "derivatives=none"], 12)


@pytest.mark.parametrize("derivatives", sorted({*choices("derivatives")} - {"none", "first", "second"}))
def test_derivatives(derivatives: str) -> None:
    check(["objective=himmelblau", f"derivatives={derivatives}", LR, "metrics=none"], 60)


@pytest.mark.parametrize("op", ["straight_through_sign", "straight_through_round", "spike", "gradient_reversal"])
def test_custom_backward_survives_stacking(op: str) -> None:
    check([*SMALL_NET, f"op={op}", LR, "metrics=none", "derivatives=none"], 20)
