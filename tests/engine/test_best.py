"""The metric that decides: where a run was best, when its patience ends, and that both are the same in a stack."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import Command
from left import assert_same
from stacks import results

import descend as package
from descend.engine.best import Best
from descend.engine.stopping import Stopping
from descend.errors import ConfigurationError
from descend.records import Column
from descend.sweeps.batch import run_group
from descend.sweeps.group import groups
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

FAST = ["objective=digits_mlp_small", "derivatives=none", "evaluate.every=7", "threads=1", "optimizer.lr=0.03"]
RULE = [*FAST, "stop.metric=test/accuracy", "stop.patience=21"]
COMPARED = ("steps", "reason", "value", "best_value", "values")


def told(folder: Path | str) -> tuple[dict[str, Any], pl.DataFrame]:
    frame = pl.read_parquet(Path(folder) / "records.parquet")
    return json.loads((Path(folder) / "result.json").read_text()), frame.filter(name="test/accuracy").sort("step")


def by_hand(steps: list[int], values: list[float], patience: int) -> tuple[int, int | None]:
    """The step of the best value, and that at which patience ended, as one would write it down."""
    best = 0
    for i, value in enumerate(values):
        if value > values[best]:
            best = i
        elif steps[i] - steps[best] >= patience:
            return steps[best], steps[i]
    return steps[best], None


def test_a_run_ends_when_patience_does_and_keeps_the_best(descend: Command) -> None:
    descend(*RULE, "steps=2000", "hydra.run.dir=patient")
    descend(*FAST, "steps=300", "hydra.run.dir=long")
    result, seen = told("patient")
    _, whole = told("long")
    best, over = by_hand(whole["step"].to_list(), whole["value"].to_list(), 21)
    assert over is not None
    assert (result["status"], result["steps"]) == ("finished", over)
    assert result["reason"] == "test/accuracy has not got better for 21 steps"
    assert result["values"] == {"best/step": best, "best/test/accuracy": seen["value"].max()}
    trained, last = package.load("patient", "best"), package.load("patient")
    assert float(trained.objective.evaluate(dict(trained))["accuracy"]) == seen["value"].max()
    assert not all(x.equal(last[name]) for name, x in trained.items())


@pytest.mark.parametrize("compiled", ["false", pytest.param("true", marks=pytest.mark.slow)])
def test_a_sweep_ends_and_keeps_what_each_run_does_alone(descend: Command, compiled: str) -> None:
    own = [*RULE, "steps=200", f"compile={compiled}"]
    assert descend("-m", *own, "seed=0,1,2", "hydra.sweep.dir=sweep").code == 0
    folders = [path.parent for path in Path("sweep").glob("*/result.json")]
    assert len(folders) == 3
    for folder in folders:
        result, _ = told(folder)
        alone = f"alone{result['provenance']['seed']}"
        descend(*own, f"seed={result['provenance']['seed']}", f"hydra.run.dir={alone}")
        assert {k: told(alone)[0][k] for k in COMPARED} == {k: result[k] for k in COMPARED}
        single = package.load(alone, "best")
        assert all(x.equal(single[name]) for name, x in package.load(folder, "best").items())


def test_thinned_curves_do_not_change_where_a_run_ends() -> None:
    [group] = groups(jobs([*RULE, "steps=150", "seed=0,1"], Grid()), built)
    whole, thinned = (results([*run_group(group, 1 << 33, stride)]) for stride in (1, 10))
    assert [[getattr(x, k) for k in COMPARED] for x in thinned] == [[getattr(x, k) for k in COMPARED] for x in whole]


def test_a_run_that_goes_on_remembers_its_best(descend: Command) -> None:
    own = [*FAST, "stop.metric=test/accuracy", "checkpoint.every=10"]
    descend(*own, "steps=120", "hydra.run.dir=through")
    descend(*own, "steps=60", "hydra.run.dir=broken")
    assert descend("resume=broken", "steps=120").code == 0
    assert_same(Path("broken"), Path("through"))


def test_where_a_run_ends_counts_too(descend: Command) -> None:
    folder = descend(*FAST, "stop.metric=test/accuracy", "steps=9", "evaluate.every=1000").folder
    result, _ = told(folder)
    assert result["values"] == {"best/test/accuracy": result["metrics"]["accuracy"], "best/step": 9}
    assert all(x.equal(package.load(folder)[name]) for name, x in package.load(folder, "best").items())


@pytest.mark.parametrize(
    ("mode", "metric", "best"),
    [("auto", "test/accuracy", 3), ("auto", "test/r_squared", 3), ("auto", "test/loss", 1), ("max", "test/loss", 3)],
)
def test_which_way_is_better(mode: str, metric: str, best: int) -> None:
    found = Best(Stopping(metric=metric, mode=mode, patience=10), 2)
    column = Column(np.array([0, 1, 2, 3]), np.array([[2.0, np.nan], [1.0, np.nan], [np.nan, 1.0], [3.0, 1.0]]))
    assert found.look(np.arange(2), column, np.full(2, -1)).tolist() == [best, 2]
    assert found.step.tolist() == [best, 2]


def test_values_behind_the_end_of_a_run_do_not_count() -> None:
    found = Best(Stopping(metric="test/accuracy", patience=2), 1)
    column = Column(np.array([0, 1, 2, 3]), np.array([[0.1], [0.2], [0.3], [0.4]]))
    assert found.look(np.array([0]), column, np.array([1])).tolist() == [1]
    flat = Column(np.array([4, 5, 6]), np.array([[0.1], [0.1], [0.9]]))
    assert found.over(np.array([0]), flat).tolist() == [4]


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["stop.patience=5"], "stop.patience is given, but no metric that it is for"),
        (["stop.mode=max"], "stop.mode is given, but no metric that it is for"),
        (["stop.metric=test/accuracy", "stop.mode=most"], "stop.mode is 'most', but it must be auto, max or min"),
        (["stop.metric=test/acuracy"], "has the test metrics test/accuracy,"),
        (["stop.metric=test/accuracy", "objective=rosenbrock"], "Rosenbrock has no test metrics"),
        (["stop.metric=test/accuracy", "metrics=none"], "no metric of the experiment computes test metrics"),
        (["stop.metric=test/accuracy", "+metrics.test_metrics.budget=0.1"], "the test metrics have a budget"),
        (["stop.metric=test/accuracy", "stop.patience=0"], "patience is 0, but it must be at least 1"),
        (["evaluate.every=5", "metrics=none"], "the metrics hold no test_metrics that would take it"),
        (["evaluate.often=5"], "often"),
        (["evaluate.every=0"], "every is 0, but it must be at least 1"),
    ],
)
def test_what_cannot_decide_is_refused(descend: Command, overrides: list[str], sentence: str) -> None:
    done = descend("objective=digits_mlp_small", "steps=3", *overrides)
    assert done.code == 2
    assert sentence in " ".join(done.err.split())
    assert not done.folders


def test_that_no_best_was_kept_is_said(descend: Command) -> None:
    folder = descend(*FAST, "steps=3").folder
    with pytest.raises(ConfigurationError, match="kept last, but 'best' is asked for"):
        package.load(folder, "best")


OWN_NET = """from torch import nn


class Net(nn.Sequential):
    def __init__(self, width=8):
        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, 10))
"""


def test_a_network_of_ones_own_is_swept_with_a_metric_that_decides(descend: Command, here: Path) -> None:
    (here / "nets.py").write_text(OWN_NET)
    own = ["objective=module", "objective.module._target_=nets.Net", "stop.metric=test/accuracy", "stop.patience=10"]
    done = descend("-m", *own, "derivatives=none", "evaluate.every=5", "steps=30", "seed=0,1", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert len([*Path("sweep").glob("*/result.json")]) == 2
