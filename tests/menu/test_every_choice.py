"""Every choice of every group composes, builds and makes three steps."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from toy_networks import toy

import descend
from descend import menu
from descend.engine.experiment import Experiment
from descend.errors import ConfigurationError
from descend.menu import FOLDER
from descend.menu.build import build, trackers
from descend.menu.compose import compose

pytestmark = pytest.mark.long

SMALL = ["objective=rosenbrock", "metrics=none", "derivatives=none", "steps=3"]
TWO_LOSSES = ["objective=expression", "objective.formula={near: 'x**2 + y**2', far: '(x - 1)**2 + y'}"]
OP = ["objective=expression", "objective.formula='op(x)'", "objective.op=${op}", "objective.start={x: 0.3}"]
# Where 0.3 is outside a function's domain.
NET = ["objective=digits_mlp", "objective.network.hidden=[4]"]
# What a choice needs: a point where a function is defined, or a matrix among the parameters.
POINT = {"log1mexp": ["objective.start={x: -0.3}"], "muon": NET, "normuon": NET}
POINT |= dict.fromkeys(("ekfac", "kfac", "natural_gradient", "sophia_g"), NET)
SETTING = {"aggregator": TWO_LOSSES, "op": OP, "metrics": NET, "derivatives": SMALL[:1]}


def choices(group: str) -> list[str]:
    return menu.choices(FOLDER / group)


def groups(*without: str) -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir() if path.is_dir() and path.name not in without)


# Trackers write and sweeps run many: their own tests run them. An experiment sets its own steps.
# Data need an objective that takes them, and most a file.
OTHERS = ("tracker", "sweep", "experiment", "objective.data")
RUNNABLE = [(group, choice) for group in groups(*OTHERS) for choice in choices(group)]


def test_the_menu_is_there() -> None:
    assert set(groups()) >= {"objective", "op", "derivatives", "optimizer", "aggregator", "metrics", "tracker"}
    assert len(RUNNABLE) > 100


@pytest.mark.parametrize("group", groups())
def test_every_choice_says_in_a_line_what_it_is(group: str) -> None:
    for path in (FOLDER / group).rglob("*.yaml"):
        line = next(line for line in path.read_text().splitlines() if not line.startswith("# @package"))
        assert line.startswith("# "), path
        assert 5 < len(line) <= 120, path


@pytest.mark.parametrize(("group", "choice"), RUNNABLE, ids=lambda x: x)
def test_it_makes_three_steps(group: str, choice: str) -> None:
    result = descend.run([*SMALL, *SETTING.get(group, []), *POINT.get(choice, []), f"{group}={choice}", *toy(choice)])
    assert result.status == "finished"
    assert result.steps == 3
    assert math.isfinite(result.value)
    assert result.records.filter(name="value").height == 4


@pytest.mark.parametrize("choice", choices("metrics") + choices("derivatives"))
def test_metrics_of_a_net(choice: str) -> None:
    group = "metrics" if choice in choices("metrics") and choice != "none" else "derivatives"
    assert descend.run([*SMALL, *NET, f"{group}={choice}"]).status == "finished"


def own_files(here: Path) -> None:
    """A file of the user's for each kind of data that wants one."""
    rng = np.random.default_rng(0)
    np.savez("data.npz", inputs=rng.random((40, 3)), targets=np.arange(40) % 2)
    pl.DataFrame({"a": rng.random(40), "b": np.arange(40) % 3, "kind": ["x", "y"] * 20}).write_csv("data.csv")
    for name in ("cats", "dogs"):
        (here / "photos" / name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(f"photos/{name}/{i}.png")
    (here / "words.py").write_text(
        "from torch import nn\ndef words():\n    return nn.Sequential(nn.Embedding(103, 4), nn.Linear(4, 103))\n"
    )


PATHS = {
    "arrays": ["objective.data.path=data.npz"],
    "table": ["objective.data.path=data.csv", "objective.data.target=kind", "objective.data.categorical=[b]"],
    "images": ["objective.data.path=photos"],
}
FEW = ["objective.batch_size=16", "metrics=none", "derivatives=none", "steps=3"]


@pytest.mark.parametrize("choice", choices("objective.data"))
def test_data_make_three_steps(choice: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own_files(here)
    monkeypatch.syspath_prepend(here)
    learner = {
        "auto_mpg": ["objective=auto_mpg_mlp"],
        "diabetes": ["objective=diabetes_linear"],
        "mnist_pixels": ["objective=mnist_autoencoder", *toy("mnist_autoencoder")],
        "quadratic_points": ["objective=deep_quadratic"],
        "text": ["objective=module", "objective.module._target_=words.words", "objective.data.context=8"],
    }
    fields = [*learner.get(choice, NET), f"objective.data={choice}", *PATHS.get(choice, [])]
    result = descend.run([*FEW, *fields, "objective.data.validation_fraction=0.2"])
    assert result.steps == 3
    assert math.isfinite(result.value)
    if choice not in ("mnist_pixels", "quadratic_points"):  # which have no error but their loss
        assert {"validation_error", "error"} <= result.metrics.keys()
    assert any(name.startswith("validation_") for name in result.metrics)


@pytest.mark.parametrize("choice", choices("tracker"))
def test_every_tracker_opens(choice: str, tmp_path: Path) -> None:
    expected = {"all": {"tensorboard", "parquet"}, "none": set()}.get(choice, {choice})
    found = trackers(compose([f"tracker={choice}"]))
    assert set(found) == expected
    result = descend.run(SMALL)
    for opening in found.values():
        opening(tmp_path, {}).close(result)


@pytest.mark.parametrize("choice", [*choices("experiment"), None])
def test_every_experiment_is_ready_to_run(choice: str | None) -> None:
    overrides = [] if choice is None else [f"experiment={choice}"]
    assert isinstance(build(compose(overrides), overrides), Experiment)


def test_fields_of_the_menu_reach_their_objects() -> None:
    overrides = [
        "optimizer=adam",
        "optimizer.betas=[0.5,0.25]",
        "objective=rosenbrock",
        "objective.dim=3",
        "schedule=warmup",
        "schedule.length=7",
        "schedule@schedule.then=exponential",
        "clip=norm",
        "clip.max_norm=2",
        "stop.plateau=9",
        "metrics.update_norm.every=4",
        "derivatives=second",
        "seed=11",
        "dtype=float32",
        "threads=2",
        "compile=false",
    ]
    found: Any = build(compose(overrides), overrides)
    assert found.optimizer.betas == (0.5, 0.25)
    assert found.objective.dim == 3
    assert (found.schedule.length, type(found.schedule.then).__name__) == (7, "Exponential")
    assert found.clip.max_norm == 2
    assert found.stop.plateau == 9
    assert found.metrics["metrics.update_norm"].every == 4
    assert found.metrics["derivatives.decrease"].order == 2
    settings = (found.seed, found.dtype, found.threads, found.compile, found.steps)
    assert settings == (11, "float32", 2, False, 2000)


def test_an_op_reaches_the_net() -> None:
    from descend.ops.tanh import Tanh

    objective: Any = build(compose(["op=tanh"]), ["op=tanh"]).objective
    assert isinstance(objective.network.activation, Tanh)


def test_another_class_takes_only_the_fields_set_for_it() -> None:
    overrides = ["objective=rosenbrock", "objective._target_=descend.objectives.sphere.Sphere", "objective.dim=4"]
    assert repr(build(compose(overrides), overrides).objective) == "Sphere(dim=4, start=None, random_start=False)"


def test_a_metric_of_ones_own_is_added() -> None:
    target = "descend.metrics.gradient_norm.GradientNorm"
    overrides = [*SMALL, f"+metrics.mine._target_={target}", "+metrics.mine.every=2"]
    assert build(compose(overrides), overrides).metrics["metrics.mine"].every == 2


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["+metrics.mine.every=2"], r"metrics.mine names no class"),
        (["+metrics.mine=3"], r"metrics.mine"),
        (["objective=plain"], r"objective=plain does not exist.*Did you mean 'plane'"),
    ],
)
def test_from_python_mistakes_are_raised(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        descend.run([*SMALL, *overrides])
