"""The parameters along a run: which are kept, that keeping them changes nothing, and what a resumed run has of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from left import equal, result, state, table

from descend.engine.snapshots import FEWEST, LEAST_BYTES, MOST, MOST_BYTES, count_of, read_snapshots, stride_of

Descend = Callable[..., Any]
SHORT = ["objective=rosenbrock", "steps=100", "compile=false", "tracker=parquet"]


def made(descend: Descend, name: str, *more: str) -> Path:
    kept = [] if any(x.startswith("checkpoint.snapshots=") for x in more) else ["checkpoint.snapshots=64"]
    done = descend(*SHORT, f"hydra.run.dir={name}", *kept, *more)
    assert done.code == 0, done.err
    return Path(name)


def recorded(folder: Path) -> dict[int, list[float]]:
    """The parameters x by step, as the records have them."""
    rows = pl.read_parquet(folder / "records.parquet").filter(pl.col("name").str.starts_with("parameter/x["))
    return {step: part.sort("name")["value"].to_list() for (step,), part in rows.group_by("step")}


@pytest.mark.parametrize("more", [[], ["compile=true"], ["optimizer=torch"]], ids=str)
def test_they_are_the_parameters_that_were_recorded(descend: Descend, here: Path, more: list[str]) -> None:
    folder = made(descend, "run", *more)
    steps, params = read_snapshots(folder / "snapshots.pt")
    assert steps == [*range(0, 100, 2), 100]
    expected = recorded(folder)
    assert params["x"].tolist() == [expected[step] for step in steps]


def test_a_network_trained_in_batches_has_them(descend: Descend, here: Path) -> None:
    folder = made(descend, "run", "objective=digits_mlp", "objective.network.hidden=[4]", "steps=20")
    steps, params = read_snapshots(folder / "snapshots.pt")
    assert steps == list(range(21))
    last = torch.load(folder / "checkpoint.pt", weights_only=True)["trained"]["last"]
    assert equal({name: x[-1].clone() for name, x in params.items()}, last)
    assert len({float(x.sum()) for x in next(iter(params.values()))}) == 21


@pytest.mark.parametrize("more", [[], ["compile=true"], ["stop.value=5"], ["optimizer=lbfgs"]], ids=str)
def test_keeping_them_changes_nothing(descend: Descend, here: Path, more: list[str]) -> None:
    with_them, without = made(descend, "with", *more), made(descend, "without", "checkpoint.snapshots=0", *more)
    assert result(with_them) == result(without)
    assert table(with_them).equals(table(without))
    assert equal(state(with_them), state(without))
    assert not (without / "snapshots.pt").exists()


def test_a_run_that_is_made_longer_has_those_of_one_that_was_not_interrupted(descend: Descend, here: Path) -> None:
    undisturbed = made(descend, "undisturbed", "steps=150")
    folder = made(descend, "longer", "steps=37")
    assert len(read_snapshots(folder / "snapshots.pt")[0]) == 38
    for steps in (90, 150):
        assert descend("resume=longer", f"steps={steps}").code == 0
    assert equal(read_snapshots(folder / "snapshots.pt"), read_snapshots(undisturbed / "snapshots.pt"))


def test_a_killed_run_goes_on_with_those_before_its_checkpoint(descend: Descend, here: Path) -> None:
    folder, undisturbed = made(descend, "run", "checkpoint.every=30"), made(descend, "undisturbed")
    for name in ("checkpoint.pt", "result.json", "records.parquet"):
        (folder / name).unlink()  # as if it was killed after its last checkpoint but one
    (folder / "checkpoint.before.pt").rename(folder / "checkpoint.pt")
    assert descend("resume=run").code == 0
    assert equal(read_snapshots(folder / "snapshots.pt"), read_snapshots(undisturbed / "snapshots.pt"))


def test_a_run_goes_on_without_those_that_cannot_be_read(descend: Descend, here: Path) -> None:
    folder = made(descend, "run", "steps=20")
    (folder / "snapshots.pt").write_bytes(b"torn")
    done = descend("resume=run", "steps=40")
    assert done.code == 0
    assert "snapshots.pt cannot be read" in done.err
    assert read_snapshots(folder / "snapshots.pt")[0] == list(range(20, 41))


def test_an_early_end_is_kept(descend: Descend, here: Path) -> None:
    folder = made(descend, "run", "stop.value=5", "steps=1000", "optimizer.lr=0.05")
    steps, params = read_snapshots(folder / "snapshots.pt")
    ended = result(folder)
    assert ended["status"] == "converged"
    assert steps == [*range(0, ended["steps"], 16), ended["steps"]]
    assert params["x"][-1].tolist() == ended["parameters"]["x"]


@pytest.mark.parametrize("wrong", ["often", "-1", "2.5", "true", "null"])
def test_a_wrong_number_is_refused(descend: Descend, here: Path, wrong: str) -> None:
    done = descend(*SHORT, f"checkpoint.snapshots={wrong}")
    assert done.code == 2
    assert "checkpoint.snapshots" in done.err
    assert not done.folders


@pytest.mark.parametrize("most", [1, 2, 50, 64])
@pytest.mark.parametrize("unit", [1, 8])
def test_there_are_as_many_as_fit(most: int, unit: int) -> None:
    for steps in (0, 1, 7, 64, 65, 1000, 4097, 10**6):
        stride = stride_of(steps, most, unit)
        assert stride % unit == 0
        assert steps / stride <= most
        assert stride == unit or steps / (stride / 2) > most
        assert stride_of(3 * steps, most, unit) % stride == 0


def test_a_large_network_keeps_fewer_or_none() -> None:
    assert count_of(None, LEAST_BYTES - 1) == 0
    assert count_of(None, LEAST_BYTES) == MOST
    assert count_of(None, MOST_BYTES // 20) == 20
    assert count_of(None, MOST_BYTES // (FEWEST - 1)) == 0
    assert count_of(12, MOST_BYTES) == 12
