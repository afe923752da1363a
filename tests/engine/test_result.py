"""result.json: its fields, its numbers, and that readers never see half of it."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Command
from toys import Line, Quartic

import descend as package
from descend.engine.experiment import Experiment
from descend.engine.result import Result
from descend.engine.run import run
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.rosenbrock import Rosenbrock
from descend.optimizers.gradient_descent import GradientDescent
from descend.output.table import rows

# The list of DESIGN.md, "What a run leaves behind".
FIELDS = [
    "status",
    "reason",
    "steps",
    "value",
    "best_value",
    "losses",
    "gradient_norm",
    "evaluations",
    "seconds",
    "parameters",
    "metrics",
    "values",
    "provenance",
]


@pytest.fixture
def result() -> Result:
    return run(Experiment(Line(), steps=3))


def test_the_fields_of_the_file(result: Result, tmp_path: Path) -> None:
    result.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    written = json.loads((tmp_path / "result.json").read_text())
    assert list(written) == FIELDS
    assert written == json.loads(result.json())
    assert written["evaluations"] == {"function": 4, "gradient": 4, "hvp": 0, "hessian": 0}
    assert list(written["losses"]) == ["squares"]
    assert list(written["metrics"]) == ["largest_error"]
    assert result.parameters is not None
    assert written["parameters"] == {"w": result.parameters["w"], "b": result.parameters["b"]}
    assert written["seconds"] > 0


def test_a_network_gives_its_parameters_by_name_and_the_file_stays_small(tmp_path: Path) -> None:
    """The accuracy is that of these very parameters, computed anew."""
    overrides = ["objective=digits_mlp_small", "steps=30", "metrics=none", "derivatives=none"]
    found = package.run(overrides)
    objective = build(compose(overrides), overrides).objective.to(torch.float32, torch.device("cpu"))
    assert found.many_parameters
    assert found.parameters is not None
    assert found.parameters.keys() == objective.init(torch.Generator().manual_seed(0)).keys()
    again = objective.evaluate(found.parameters)
    assert {name: float(x) for name, x in again.items()} == pytest.approx(found.metrics, rel=1e-6)
    found.write(tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["parameters"] is None
    assert (tmp_path / "result.json").stat().st_size < 10_000
    assert not any(name in rows(found) for name in found.parameters)


def test_the_parameters_are_those_of_the_checkpoint(descend: Command, here: Path) -> None:
    overrides = ["objective=digits_mlp_small", "steps=30", "metrics=none", "derivatives=none"]
    assert descend(*overrides, "hydra.run.dir=run").code == 0
    loaded, found = package.load(here / "run"), package.run(overrides)
    assert found.parameters is not None
    assert loaded.keys() == found.parameters.keys()
    assert all(torch.equal(loaded[name], found.parameters[name]) for name in loaded)


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    result = run(Experiment(Quartic(), optimizer=GradientDescent(lr=0.5), steps=100))
    replace(result, parameters={"x": [1.0, [math.nan, -math.inf]]}).write(tmp_path)
    written = json.loads((tmp_path / "result.json").read_text(), parse_constant=pytest.fail)
    assert not math.isfinite(result.value)
    assert written["value"] is None
    assert written["losses"]["quartic"] is None
    assert written["parameters"] == {"x": [1.0, [None, None]]}
    assert math.isfinite(written["best_value"])


def test_a_write_cut_short_leaves_the_old_file_whole(
    result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result.write(tmp_path)
    before = (tmp_path / "result.json").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        run(Experiment(Rosenbrock(), steps=1)).write(tmp_path)
    assert (tmp_path / "result.json").read_bytes() == before


def test_records_are_a_frame_of_one_row_for_each_number(result: Result) -> None:
    frame = result.records
    assert frame.columns == ["run", "step", "name", "value"]
    assert frame["run"].unique().to_list() == [0]
    assert frame.filter(name="value")["step"].to_list() == [0, 1, 2, 3]
