"""`sys.exit` in a user's own code: a message as of any other mistake, never a process that ends without a word."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from conftest import Command

import descend as package

OWN = """\
import sys
from dataclasses import dataclass
from typing import ClassVar
import torch
from descend.objectives.objective import Objective

@dataclass(frozen=True)
class Bowl(Objective):
    batchable: ClassVar[bool] = False
    last: int = 100
    def init(self, generator):
        return {"x": torch.randn(3, generator=generator, dtype=torch.float64)}
    def losses(self, params, batch):
        value = (params["x"] ** 2).sum()
        if float(value.detach()) < 1:
            sys.exit(3)
        return {"bowl": value}

class AtOnce(Bowl):
    def losses(self, params, batch):
        sys.exit()

class AtInit(Bowl):
    def init(self, generator):
        sys.exit(4)

class Stacked(AtOnce):
    batchable: ClassVar[bool] = True
"""


@pytest.fixture
def own(here: Path) -> Path:
    (here / "leaves.py").write_text(OWN)
    (here / "leaves_at_once.py").write_text("import sys\nsys.exit(5)\n")
    return here


@pytest.mark.parametrize("sweep", [[], ["-m", "sweep.keep=none"]], ids=["alone", "sweep"])
@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("leaves.AtInit", "sys.exit(4) was called in leaves.py, line 25"),
        ("leaves_at_once.Any", "sys.exit(5) was called in leaves_at_once.py, line 2"),
    ],
)
def test_before_the_first_step(descend: Command, own: Path, target: str, said: str, sweep: list[str]) -> None:
    seeds = ["seed=0,1"] if sweep else []
    done = descend(*sweep, f"objective._target_={target}", *seeds)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not (own / "outputs").exists()


def test_at_the_start_of_a_run(descend: Command, own: Path) -> None:
    done = descend("objective._target_=leaves.AtOnce")
    assert done.code == 2
    assert done.err == (
        "descend: sys.exit() was called in leaves.py, line 21, which would end the whole process; raise an error there "
        "instead.\n"
    )
    assert not (own / "outputs").exists()


def test_within_a_run(descend: Command, own: Path) -> None:
    done = descend("objective._target_=leaves.Bowl", "optimizer=sgd", "optimizer.lr=0.1", "hydra.run.dir=run")
    assert done.code == 1
    assert "the run failed: Exited: sys.exit(3) was called in leaves.py, line 16" in done.err
    assert json.loads((own / "run" / "result.json").read_text())["status"] == "failed"


@pytest.mark.parametrize("target", ["Bowl", "AtOnce", "Stacked"])
def test_within_a_sweep_it_costs_its_own_runs(descend: Command, own: Path, target: str) -> None:
    sweep = [f"objective._target_=leaves.{target}", "optimizer=sgd", "optimizer.lr=0.1,1e-9", "steps=30"]
    done = descend("-m", *sweep, "sweep.keep=none", "hydra.sweep.dir=sweep")
    assert done.code == 1
    assert "Traceback" not in done.err
    assert "sys.exit(" in done.err
    table = pl.read_parquet(own / "sweep" / "sweep.parquet")
    assert table["status"].to_list() == (["failed", "finished"] if target == "Bowl" else ["failed", "failed"])


def test_from_python(own: Path) -> None:
    """A process of its own, so that an exit would be seen."""
    script = (
        "import descend, leaves\nfrom descend.errors import Exited\nfrom descend.optimizers.adam import Adam\n"
        "try:\n    descend.run(descend.Experiment(leaves.AtOnce(), Adam()))\n"
        "except Exited as error:\n    print(error)\n"
    )
    path = os.pathsep.join([str(Path(package.__file__).parents[1]), str(own)])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sys.exit() was called in leaves.py, line 21")
