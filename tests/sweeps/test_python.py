"""`descend.sweep`: the table of a sweep, without a folder."""

import math
from pathlib import Path

import polars as pl
import pytest
from conftest import Command

import descend
from descend.errors import ConfigurationError
from descend.sweeps.job import column

BASE = ["objective=rosenbrock", "metrics=none", "derivatives=none", "steps=20"]


def test_a_row_for_each_run_equals_the_run_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = descend.sweep([*BASE, "optimizer=adam,sgd", "optimizer.lr=interval(0.0001,0.001)", "sweep.points=2"])
    assert table["optimizer"].to_list() == ["adam", "adam", "sgd", "sgd"]
    assert table["optimizer.lr"].to_list() == [0.0001, 0.001, 0.0001, 0.001]
    assert table["optimizer.lr"].dtype == pl.Float64
    for row in table.iter_rows(named=True):
        alone = descend.run([*BASE, f"optimizer={row['optimizer']}", f"optimizer.lr={row['optimizer.lr']}"])
        assert math.isclose(row["value"], alone.value, rel_tol=1e-10)
    assert not list(tmp_path.iterdir())


def test_globs_find_the_menus_choices() -> None:
    table = descend.sweep([*BASE, "optimizer=glob(rm*)"])
    assert table["optimizer"].to_list() == ["rmsprop"]


def test_why_runs_go_by_themselves_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    """Each class is a group of its own."""
    descend.sweep([*BASE, "optimizer=torch", "optimizer.name=Adam,SGD,Adagrad"])
    told = [line for line in capfd.readouterr().err.splitlines() if "one after the other" in line]
    assert len(told) == 1
    assert told[0].startswith("descend: 3 runs go one after the other: ")


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["0", "1"], [0, 1]),
        (["1", "0.5", "1e-4"], [1.0, 0.5, 1e-4]),
        (["True", "False"], [True, False]),
        (["auto", "False"], ["auto", "False"]),
        (["1", "null"], ["1", "null"]),
        (["[1,2]", "[3,4]"], ["[1,2]", "[3,4]"]),
    ],
)
def test_swept_values_have_the_narrowest_type_that_holds_them_all(texts: list[str], values: list[object]) -> None:
    found = column(texts)
    assert found == values
    assert len({type(x) for x in found}) == 1


@pytest.mark.parametrize(
    ("overrides", "said"),
    [(["sweep.resume=there"], "sweep.resume"), (["hydra/launcher=joblib"], "launcher"), (["optimizer.lrr=1,2"], "lrr")],
)
def test_what_cannot_be_is_refused(overrides: list[str], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        descend.sweep([*BASE, *overrides])


def test_a_sweep_written_as_an_experiment() -> None:
    few = ["objective=beale,ackley", "optimizer=adam,momentum", "sweep.points=3", "seed=0,1", "steps=5"]
    table = descend.sweep(["experiment=first_order", *few])
    assert len(table) == 2 * 2 * 3 * 2
    assert table["optimizer.lr"].max() == 1.0
    assert table["value"].n_unique() > len(table) / 2, "each seed has a start of its own"


def test_seeds_that_all_end_alike_are_one_number(descend: Command) -> None:
    """Rosenbrock starts where it starts; with a random start each seed has its own."""
    for start, told in {"false": True, "true": False}.items():
        done = descend("-m", *BASE, "optimizer.lr=0.0001,0.0002", "seed=0,1", f"objective.random_start={start}")
        assert "4 runs: 4 finished" in done.out
        assert "value, median" in done.out
        assert ("seeds change nothing in every setting" in done.out) == told
