"""A kept run's folder has the checkpoint that the same run leaves alone, and goes on from there."""

from pathlib import Path

import pytest
import torch
from conftest import Command
from left import equal, events, result, state, table
from polars.testing import assert_frame_equal

import descend as package
from descend.engine.checkpoint import NAME
from descend.sweeps.ends import ENDS

QUIET = ["metrics=none", "derivatives=none"]
ROSENBROCK = ["objective=rosenbrock", "optimizer=adam"]
RATES = ("optimizer.lr", "0.01", "0.05", "0.1")
CASES = {
    "graph": ([*ROSENBROCK, *QUIET, "compile=false"], RATES, 40, 70),
    "kernel": ([*ROSENBROCK, *QUIET, "compile=true"], RATES, 1100, 2300),
    "plateau": ([*ROSENBROCK, *QUIET, "compile=false", "stop.plateau=1000"], RATES, 40, 70),
    "network": (["objective=digits_mlp_small", *QUIET, "compile=false"], ("seed", "0", "1", "2"), 12, 20),
    "two losses": (["objective=fonseca_fleming", "aggregator=famo", *QUIET, "compile=false"], RATES, 30, 45),
    "python": ([*ROSENBROCK[:1], *QUIET, "optimizer=torch", "optimizer.name=Rprop"], RATES, 20, 35),
}


def folder_of(sweep: str, run: int) -> Path:
    [folder] = Path(sweep).glob(f"{run:05}-*")
    return folder


@pytest.mark.parametrize("case", CASES)
def test_a_kept_run_is_the_run_alone(case: str, descend: Command, here: Path) -> None:
    shared, (key, *values), steps, more = CASES[case]
    own = [*shared, f"{key}={values[1]}"]
    for name, arguments in {
        "sweep": ["-m", *shared, f"{key}={','.join(values)}", f"steps={steps}", "hydra.sweep.dir=sweep"],
        "alone": [*own, f"steps={steps}", "hydra.run.dir=alone"],
        "longer": [*own, f"steps={more}", "hydra.run.dir=longer"],
    }.items():
        done = descend(*arguments)
        assert done.code == 0, (name, done.err)
    folder = folder_of("sweep", 1)
    assert equal(package.load(folder), package.load("alone"))
    assert equal(state(folder), state(Path("alone")))
    assert not (Path("sweep") / ENDS).exists()
    done = descend(f"resume={folder}", f"steps={more}")
    assert done.code == 0, done.err
    assert result(folder) == result(Path("longer"))
    assert equal(state(folder), state(Path("longer")))
    assert events(folder)[1] == events(Path("longer"))[1]
    rows = table(folder)
    assert set(rows["run"]) == {1}
    assert_frame_equal(rows.drop("run"), table(Path("longer")).drop("run"), check_exact=True)


def test_runs_that_ended_early_have_their_parameters(descend: Command, here: Path) -> None:
    own = [*ROSENBROCK[:1], "optimizer=gradient_descent", *QUIET, "compile=false", "steps=60"]
    rates = ["0.000001", "0.001", "1.0"]  # the last runs away
    assert descend("-m", *own, f"optimizer.lr={','.join(rates)}", "stop.value=4.2", "hydra.sweep.dir=sweep").code == 0
    statuses = set()
    for run, rate in enumerate(rates):
        assert descend(*own, f"optimizer.lr={rate}", "stop.value=4.2", f"hydra.run.dir={run}").code == 0
        statuses.add(result(Path(str(run)))["status"])
        assert equal(package.load(folder_of("sweep", run)), package.load(str(run)))
        assert equal(state(folder_of("sweep", run)), state(Path(str(run))))
    assert statuses == {"finished", "converged", "diverged"}


def test_of_many_chunks_the_best_runs_have_theirs(
    descend: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descend.sweeps.settings.KEEP_BEST", 2)
    rates = ["0.0001", "0.02", "0.0002", "0.1", "0.05", "0.0003"]
    own = ["-m", *ROSENBROCK, *QUIET, "compile=false", "steps=30", f"optimizer.lr={','.join(rates)}"]
    done = descend(*own, "sweep.keep=best", "sweep.memory=1500", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert len(list(Path("sweep").glob("curves/*.parquet"))) > 2
    found = sorted(path.parent.name[:5] for path in Path("sweep").glob(f"*/{NAME}"))
    assert found == ["00003", "00004"]
    assert not (Path("sweep") / ENDS).exists()
    before = {run: state(folder_of("sweep", run)) for run in (3, 4)}
    done = descend(*own, "sweep.keep=best", "sweep.memory=1500", "sweep.resume=sweep")  # its pages are made anew
    assert done.code == 0, done.err
    assert all(equal(state(folder_of("sweep", run)), before[run]) for run in (3, 4))


def test_a_run_that_was_made_longer_survives_its_sweeps_resume(descend: Command, here: Path) -> None:
    own = ["-m", *ROSENBROCK, *QUIET, "compile=false", "steps=10", "optimizer.lr=0.01,0.1"]
    assert descend(*own, "hydra.sweep.dir=sweep").code == 0
    folder = folder_of("sweep", 1)
    assert descend(f"resume={folder}", "steps=20").code == 0
    assert descend(*own, "sweep.resume=sweep").code == 0
    assert result(folder)["steps"] == 20
    assert (
        descend(*ROSENBROCK, *QUIET, "compile=false", "steps=20", "optimizer.lr=0.1", "hydra.run.dir=alone").code == 0
    )
    assert torch.equal(package.load(folder)["x"], package.load("alone")["x"])
    assert result(folder) == result(Path("alone"))
    assert result(folder_of("sweep", 0))["steps"] == 10


def test_other_launchers_leave_them_too(descend: Command, here: Path) -> None:
    own = [*ROSENBROCK, *QUIET, "compile=false", "steps=10"]
    parts = ["hydra/launcher=basic", "sweep.parts=2"]
    done = descend("-m", *own, "optimizer.lr=0.01,0.1,0.2", *parts, "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert descend(*own, "optimizer.lr=0.2", "hydra.run.dir=alone").code == 0
    assert equal(state(folder_of("sweep", 2)), state(Path("alone")))
