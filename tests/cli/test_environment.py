"""Numbers that environment variables give."""

import json
from pathlib import Path

import polars as pl
import pytest
from conftest import Command

BASE = ["objective=rosenbrock", "metrics=none", "derivatives=none"]


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"STEPS": "7", "LR": "1e-3", "BETAS": "[0.5,0.75]", "DTYPE": "float32", "ON": "true", "WORD": "many"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def test_they_are_numbers_alone(descend: Command) -> None:
    fields = ["optimizer.lr=${oc.env:LR}", "optimizer.betas=${oc.env:BETAS}", "optimizer.amsgrad=${oc.env:ON}"]
    by_hand = ["optimizer.lr=1e-3", "optimizer.betas=[0.5,0.75]", "optimizer.amsgrad=true", "steps=7", "dtype=float32"]
    first = descend(*BASE, *fields, "steps=${oc.env:STEPS}", "dtype=${oc.env:DTYPE}")
    assert first.code == 0, first.err
    descend(*BASE, *by_hand)
    found, expected = (json.loads((path / "result.json").read_text()) for path in descend(*BASE, "steps=0").folders[:2])
    assert (found["steps"], found["value"]) == (7, expected["value"])


def test_they_are_numbers_in_a_sweep(descend: Command, here: Path) -> None:
    done = descend("-m", *BASE, "steps=${oc.env:STEPS}", "optimizer.lr=${oc.env:LR}", "seed=1,2", "hydra.sweep.dir=s")
    assert done.code == 0, done.err
    assert pl.read_parquet(here / "s" / "sweep.parquet")["steps"].to_list() == [7, 7]


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=1,2"]], ids=["alone", "sweep"])
@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("steps=${oc.env:WORD}", "steps"),
        ("optimizer.lr=${oc.env:WORD}", "optimizer.lr is 'many', but Adam expects a number there"),
        ("optimizer.lr=${oc.env:NOT_SET}", "NOT_SET"),
        ("optimizer.lr=${nothing}", "nothing"),
    ],
)
def test_what_is_no_number_is_refused(sweep: list[str], override: str, said: str, descend: Command, here: Path) -> None:
    done = descend(*sweep, *BASE, override)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(here.iterdir())
