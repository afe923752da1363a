"""`descend compare` on folders that runs and sweeps left, and on those that are broken."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
from conftest import Command, Done

BASE = ("objective=rosenbrock", "objective.random_start=true", "steps=40", "optimizer.lr=0.001", "metrics=none")
TRAIN = ("objective=digits_mlp_small", "steps=10", "metrics=none", "derivatives=none")


@pytest.fixture
def sweep(descend: Command, here: Path) -> Path:
    """Two optimizers, seven seeds."""
    done = descend("-m", *BASE, "optimizer=sgd,adam", "seed=range(0,7)", "hydra.sweep.dir=swept")
    assert done.code in (0, None), done.err
    return here / "swept"


def test_the_table_is_that_of_the_sweeps_end(descend: Command, here: Path) -> None:
    ended = descend("-m", *BASE, "optimizer=sgd,adam", "seed=range(0,7)", "hydra.sweep.dir=swept").out
    compared = descend("compare", "swept").out
    assert "worse" in compared
    assert compared.strip() in ended
    assert max(map(len, compared.splitlines())) <= 80


def test_folders_of_two_sweeps_and_a_run_are_one_table(descend: Command, sweep: Path) -> None:
    descend(*BASE, "optimizer=rmsprop", "hydra.run.dir=alone")
    descend("-m", *BASE, "optimizer=adam", "optimizer.lr=0.01", "seed=range(0,7)", "hydra.sweep.dir=more")
    done = descend("compare", "swept", "alone", "more")
    assert done.code == 0
    for name in ("sgd lr=0.001", "adam lr=0.01", "rmsprop lr=0.001"):
        assert all(word in done.out for word in name.split())
    assert "unequal numbers of runs" in done.out


def test_what_a_folder_does_not_name_is_looked_up_in_its_configuration(descend: Command) -> None:
    descend(*BASE, "optimizer=adam", "hydra.run.dir=plain")
    descend(*BASE, "optimizer=adam", "optimizer.betas=[0.5,0.9]", "optimizer.amsgrad=true", "hydra.run.dir=other")
    words = " ".join(descend("compare", "plain", "other", "--csv").out.split())
    for name in ("betas=[0.5,0.9] amsgrad=true", "betas=[0.9, 0.999] amsgrad=false"):
        assert name in words


def test_a_rate_that_is_null_in_one_folder_stays_a_number_of_the_other(descend: Command, here: Path) -> None:
    muon = ["optimizer=muon", "optimizer.lr=null", "optimizer.groups.matrices.optimizer.lr=0.01,0.02,0.04"]
    for name, chosen in {"one": ["optimizer=adam,sgd", "optimizer.lr=0.01,0.02,0.04"], "two": muon}.items():
        done = descend("-m", *TRAIN, *chosen, "seed=0,1", f"hydra.sweep.dir={name}")
        assert done.code in (0, None), done.err
    table = pl.read_csv(descend("compare", "one", "two", "--csv").out.encode())
    assert sorted(name.split()[0] for name in table["setting"]) == ["adam", "muon", "sgd"]
    done = descend("compare", "one", "two", "--figures", "svg")
    assert done.code == 0, done.err
    assert {"figures/swept.svg", "figures/budget.svg"} <= set(map(str, Path().glob("figures/*")))


def test_the_same_settings_in_two_folders_are_told_apart_by_the_folder(descend: Command, sweep: Path) -> None:
    shutil.copytree(sweep, sweep.parent / "again")
    done = descend("compare", "swept", "again")
    assert "swept" in done.out
    assert "again" in done.out
    assert "tie" in done.out


def test_different_objectives_have_a_table_each(descend: Command, sweep: Path) -> None:
    descend("-m", *TRAIN, "optimizer=sgd,adam", "seed=0,1", "hydra.sweep.dir=digits")
    done = descend("compare", "swept", "digits", "rank=test/accuracy")
    assert done.code == 0
    assert "no run of rosenbrock has test/accuracy; ranked by value instead" in " ".join(done.out.split())
    assert "test/accuracy" in done.out.partition("digits_mlp_small")[2]


def test_a_validation_metric_comes_first(descend: Command) -> None:
    validated = "objective.data.validation_fraction=0.2"
    descend("-m", *TRAIN, validated, "optimizer=sgd,adam", "hydra.sweep.dir=digits")
    assert "validation/accuracy" in descend("compare", "digits").out


def test_a_target(descend: Command, sweep: Path) -> None:
    table = pl.read_parquet(sweep / "sweep.parquet").filter(optimizer="sgd")
    target = table["best_value"].sort()[3]
    reached = descend("compare", "swept", f"target={target}").out
    assert "reached" in reached
    assert "ERT" in reached
    assert "4/7" in reached
    never = descend("compare", "swept", "target=-1").out
    assert "no run reached value -1; the best was" in never


def test_csv_and_latex(descend: Command, sweep: Path) -> None:
    assert descend("compare", "swept", "--csv").out.startswith("objective,measure,setting,")
    assert r"\begin{tabular}" in descend("compare", "swept", "--latex").out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "it was given no folder"),
        (["nowhere"], "nowhere is no folder"),
        (["empty"], "empty holds no results"),
        (["."], "name those inside it: ./*"),
        (["swept", "rank=test/accuracy"], "rank is test/accuracy, but no run has that; choose one of value"),
        (["swept", "target=soon"], "target is soon, but it must be a finite number"),
        (["swept", "mode=up", "rank=value"], "mode is up, but it must be auto, max or min"),
        (["swept", "mode=max"], "mode=max is given, but nothing that it is for"),
        (["swept", "ranked=value"], "ranked is no setting of it"),
        (["swept", "--cvs"], "unrecognized arguments: --cvs"),
        (["swept", "--csv", "--latex"], "give one"),
        (["swept", "--csv", "--figures", "pdf"], "give one"),
        (["swept", "--figures", "png"], "invalid choice: 'png'"),
        (["broken"], "broken/sweep.parquet cannot be read"),
        (["cut"], "cut/result.json cannot be read"),
        (["running"], "running holds a sweep that has not ended"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments: list[str], sentence: str, descend: Command, here: Path) -> None:
    for name in ("empty", "broken", "cut", "running", "swept"):
        (here / name).mkdir()
    (here / "broken" / "sweep.parquet").write_bytes(b"PAR1 and no more")
    (here / "cut" / "result.json").write_text('{"status": "fin')
    (here / "running" / "sweep.db").touch()
    table = pl.DataFrame({"run": [0], "status": ["finished"], "value": [1.0], "steps": [1]})
    table.write_parquet(here / "swept" / "sweep.parquet")
    done = descend("compare", *arguments)
    assert done.code == 2
    assert sentence in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


def test_what_can_be_shown_is_shown(descend: Command, sweep: Path) -> None:
    done = descend("compare", "nowhere", "swept")
    assert done.code == 2
    assert "nowhere is no folder" in done.err
    assert "worse" in done.out


def test_curves_that_cannot_be_read_are_named(descend: Command, sweep: Path) -> None:
    for curves in sweep.glob("curves/*.parquet"):
        curves.write_bytes(b"gone")
    done = descend("compare", "swept", "target=1")
    assert done.code == 0
    words = " ".join(done.out.split())
    assert "0000000.parquet cannot be read; the curves in it are left out" in words
    assert "no curve of value was recorded" in words


def test_a_table_of_other_peoples_with_nans_and_no_provenance(descend: Command, here: Path) -> None:
    values = [1.0, float("nan"), None, 2.0]
    rows = {"run": range(4), "optimizer": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "status": ["finished"] * 4}
    (here / "other").mkdir()
    pl.DataFrame({**rows, "value": values, "steps": [1] * 4}).write_parquet(here / "other" / "sweep.parquet")
    done = descend("compare", "other")
    assert done.code == 0, done.err
    assert "too few seeds" in done.out


def test_one_seed_claims_nothing(descend: Command) -> None:
    done: Done = descend("-m", *BASE, "optimizer=sgd,adam", "hydra.sweep.dir=one")
    assert "too few seeds to tell 1 of 1" in " ".join(done.out.split())
    result = json.loads(next(Path("one").glob("*/result.json")).read_text())
    assert result["status"] == "finished"


def test_figures_for_a_paper_stand_in_the_folder(descend: Command, sweep: Path) -> None:
    done = descend("compare", "swept", "--figures", "pdf")
    assert done.code == 0, done.err
    assert done.out.split() == ["written:", "swept/figures/curves.pdf"]
    assert (sweep / "figures" / "curves.pdf").read_bytes().startswith(b"%PDF")
    (sweep / "figures" / "curves.pdf").unlink()
    (sweep / "figures").rmdir()
    (sweep / "figures").touch()
    refused = descend("compare", "swept", "--figures", "svg")
    assert refused.code == 2
    assert "swept/figures cannot be written: File exists" in refused.err
