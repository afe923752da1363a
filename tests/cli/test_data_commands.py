"""Data of one's own from the command line: chosen, gone on with, swept over, and told of when they are wrong."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from conftest import Command

QUIET = ["metrics=none", "derivatives=none", "tracker=none"]
NET = ["objective=digits_mlp_small", "objective.batch_size=16"]
ARRAYS = ["objective.data=arrays", "objective.data.path=data.npz"]
TABLE = ["objective.data=table", "objective.data.path=data.csv"]


@pytest.fixture
def data(here: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez("data.npz", inputs=rng.random((60, 4)), targets=np.arange(60) % 3)
    np.savez("other.npz", inputs=rng.random((60, 5)), targets=np.arange(60) % 2)
    np.savez("nan.npz", inputs=np.full((60, 4), np.nan), targets=np.arange(60) % 3)
    pl.DataFrame({"age": rng.random(60), "size": rng.random(60), "kind": ["a", "b"] * 30}).write_csv("data.csv")
    Path("short.txt").write_text("Too short.")
    return here


def test_a_run_on_arrays_goes_on(descend: Command, data: Path) -> None:
    done = descend(*NET, *ARRAYS, *QUIET, "objective.data.validation_fraction=0.2", "steps=5")
    assert done.code == 0, done.err
    metrics = json.loads((done.folder / "result.json").read_text())["metrics"]
    assert {"accuracy", "validation_accuracy", "validation_cross_entropy"} <= metrics.keys()
    longer = descend(f"resume={done.folder}", "steps=9", *ARRAYS)
    assert longer.code == 0, longer.err
    assert json.loads((done.folder / "result.json").read_text())["steps"] == 9
    other = descend(f"resume={done.folder}", "steps=12", "objective.data=table")
    assert other.code == 2
    assert "objective.data is 'table', but the run in" in other.err
    assert "has 'arrays'" in other.err


def test_a_sweep_over_data(descend: Command, data: Path) -> None:
    paths = "objective.data.path=data.npz,other.npz"
    done = descend("-m", *NET, *QUIET, "objective.data=arrays", paths, "seed=0,1", "steps=3", "hydra.sweep.dir=s")
    assert done.code == 0, done.err
    table = pl.read_parquet("s/sweep.parquet")
    assert table["objective.data.path"].to_list() == ["data.npz", "data.npz", "other.npz", "other.npz"]
    for row in table.iter_rows(named=True):
        alone = [f"objective.data.path={row['objective.data.path']}", f"seed={row['seed']}", "steps=3"]
        found = descend(*NET, *QUIET, "objective.data=arrays", *alone, f"hydra.run.dir=outputs/{row['run']}")
        assert json.loads((data / f"outputs/{row['run']}/result.json").read_text())["value"] == row["value"], found.err
    kinds = descend("-m", *NET, *QUIET, "objective.data=digits,breast_cancer", "steps=2", "hydra.sweep.dir=kinds")
    assert kinds.code == 0, kinds.err
    assert pl.read_parquet("kinds/sweep.parquet")["objective.data"].to_list() == ["digits", "breast_cancer"]


WRONG = {
    "no path": (["objective.data=arrays"], r"objective.data.path has no value, and none is known that is right"),
    "kind": (["objective.data=arays"], r"objective.data=arays does not exist: .*arrays.* Did you mean 'arrays'\?"),
    "field": ([*ARRAYS, "objective.data.inptus=x"], r"objective.data.inptus does not exist.*Did you mean 'inputs'\?"),
    "type": ([*ARRAYS, "objective.data.standardise=3"], r"standardise is 3, but Arrays expects true or false there"),
    "objective": (["objective=rosenbrock", "objective.data=digits"], r"objective takes no data; these do: .*module"),
    "file": (["objective.data=arrays", "objective.data.path=date.npz"], r"there is no file .*date.npz; check its name"),
    "nan": (["objective.data=arrays", "objective.data.path=nan.npz"], r"240 of the 240 numbers in the inputs of nan"),
    "column": (
        [*TABLE, "objective.data.target=kinds"],
        r"target names 'kinds', but data.csv has the columns age, size, kind. Did you mean 'kind'\?",
    ),
    "numbers for classes": (
        [*TABLE, "objective.data.target=age", "objective.data.drop=[kind]"],
        r"data.csv has numbers for targets, but Classification needs classes",
    ),
    "text": (
        ["objective=module", "objective.data=text", "objective.data.path=short.txt"],
        r"short.txt has 10 characters, but 2 windows of context=64 need 129; give it a longer text",
    ),
    "in a sweep": (["-m", "objective.data=digits,arays"], r"objective.data=arays does not exist: .*Did you mean 'arra"),
}


@pytest.mark.parametrize("case", WRONG)
def test_one_sentence_and_nothing_left_behind(descend: Command, data: Path, case: str) -> None:
    arguments, pattern = WRONG[case]
    done = descend(*arguments)
    assert done.code == 2, done.err
    assert done.err.startswith("descend: ")
    assert len(done.err.splitlines()) == 1
    assert re.search(pattern, done.err), done.err
    assert not (data / "outputs").exists()
