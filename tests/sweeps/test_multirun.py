"""`python run.py -m`: what it leaves, how it goes on after an interruption, and what it refuses."""

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import polars as pl
import polars.selectors as cs
import pytest
import yaml
from conftest import Command

ROOT = Path(__file__).resolve().parents[2]
SWEEP = [
    "objective=rosenbrock",
    "metrics=none",
    "derivatives=none",
    "optimizer.lr=0.001,0.01,0.1",
    "seed=0,1",
    "steps=30",
]
COMMAND = [sys.executable, str(ROOT / "run.py"), "-m", *SWEEP, "hydra.sweep.dir=sweep"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sweep made by a process of its own; what else is asked of the command is asked in this one."""
    folder = tmp_path_factory.mktemp("swept")
    done = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_sweep_leaves_a_row_and_a_curve_for_every_run(swept: Path) -> None:
    table = pl.read_parquet(swept / "sweep" / "sweep.parquet")
    assert table["run"].to_list() == list(range(6))
    assert {"optimizer.lr", "seed", "status", "value", "losses.value", "evaluations.gradient"} <= set(table.columns)
    curves = pl.read_parquet(list((swept / "sweep" / "curves").glob("*.parquet")))
    assert curves.filter(name="value").group_by("run").len()["len"].to_list() == [31] * 6
    assert (swept / "sweep" / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_every_kept_run_has_a_folder_of_its_own(swept: Path) -> None:
    results = sorted((swept / "sweep").glob("0*/result.json"))
    assert len(results) == 6
    table = pl.read_parquet(swept / "sweep" / "sweep.parquet")
    for path, value in zip(results, table["value"], strict=True):
        assert json.loads(path.read_text())["value"] == value
        assert list(path.parent.glob("events.out.tfevents.*"))


def test_a_kept_run_has_the_configuration_that_gives_it_alone(swept: Path, descend: Command) -> None:
    kept = sorted((swept / "sweep").glob("0*/.hydra"))[3]
    overrides = yaml.safe_load((kept / "overrides.yaml").read_text())
    assert set(overrides) > {"optimizer.lr=0.01", "seed=1"}
    alone = descend(*overrides)
    for name in ("config.yaml", "overrides.yaml"):
        assert (kept / name).read_text() == (alone.folder / ".hydra" / name).read_text()
    found, expected = (json.loads((folder / "result.json").read_text()) for folder in (kept.parent, alone.folder))
    assert found["value"] == pytest.approx(expected["value"], rel=1e-10)


def test_kept_none_leaves_tensorboard_nothing_and_the_rest(swept: Path, descend: Command, here: Path) -> None:
    assert descend("-m", *SWEEP, "sweep.keep=none", "hydra.sweep.dir=bare").code == 0
    assert not list((here / "bare").rglob("events.out.tfevents.*"))
    assert not list((here / "bare").glob("0*"))
    tables = [pl.read_parquet(folder / "sweep.parquet") for folder in (here / "bare", swept / "sweep")]
    assert tables[0]["value"].to_list() == pytest.approx(tables[1]["value"].to_list(), rel=1e-12)
    assert (here / "bare" / "sweep.png").exists()


def test_a_sweep_over_nothing_is_one_run(descend: Command, here: Path) -> None:
    done = descend("-m", "objective=rosenbrock", "steps=5", "hydra.sweep.dir=one")
    assert (done.code, done.err) == (0, "")
    assert "1 run: 1 finished" in done.out
    assert len(list((here / "one").glob("00000-*/result.json"))) == 1


def test_resuming_a_finished_sweep_does_nothing_and_changes_nothing(swept: Path, descend: Command) -> None:
    before = pl.read_parquet(swept / "sweep" / "sweep.parquet")
    done = descend("-m", *SWEEP, f"sweep.resume={swept}/sweep")
    assert done.code == 0, done.err
    assert pl.read_parquet(swept / "sweep" / "sweep.parquet").equals(before)


def test_another_sweeps_folder_is_refused(swept: Path, descend: Command) -> None:
    done = descend("-m", *SWEEP[:-1], "steps=40", f"sweep.resume={swept}/sweep")
    assert done.code == 2
    assert "another sweep" in done.err
    assert "steps=40" in done.err
    assert "Traceback" not in done.err


def test_a_damaged_index_is_refused(descend: Command, here: Path) -> None:
    (here / "sweep").mkdir()
    (here / "sweep" / "sweep.db").write_bytes(b"this is no database, and long enough to be read as one" * 40)
    done = descend("-m", *SWEEP, "sweep.resume=sweep")
    assert done.code == 2
    assert "damaged" in done.err


def test_a_killed_sweep_goes_on_to_the_same_table(swept: Path, descend: Command, here: Path) -> None:
    """Small chunks, killed as soon as the first is in the index."""
    few = "sweep.memory=2000"
    process = subprocess.Popen([*COMMAND, few], cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and rows(here / "sweep" / "sweep.db") < 1:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = descend("-m", *SWEEP, few, "sweep.resume=sweep")
    assert done.code == 0, done.err
    expected, found = (pl.read_parquet(folder / "sweep" / "sweep.parquet") for folder in (swept, here))
    same = ["run", "optimizer.lr", "seed", "status", "steps"]
    assert found.select(same).equals(expected.select(same))
    assert found["value"].to_list() == pytest.approx(expected["value"].to_list(), rel=1e-12)


def rows(path: Path) -> int:
    """Return how many runs an index has; 0 until it exists."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as index:
            return index.execute("select count(*) from runs").fetchone()[0]
    except sqlite3.Error:
        return 0


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["optimizer.lr=0.1,-1"], "lr is -1"),
        (["optimizer.lrr=0.1,0.2"], "lrr"),
        (["optimizer.lr=interval(0.1,1)"], "sweep.points"),
        (["seed=range(0,1000)", "optimizer.lr=range(1,2000)"], "sweep.yes=true"),
        (["optimizer.lr=0.1,0.2", "sweep.memory=100"], "sweep.memory allows 100 bytes"),
        (["seed=0,1", "sweep.resume=nowhere"], "nowhere"),
        (["seed=0,1", "sweep.keep=some"], "keep"),
    ],
)
def test_a_wrong_sweep_is_refused_before_anything_is_written(
    overrides: list[str], said: str, descend: Command, here: Path
) -> None:
    done = descend("-m", "objective=rosenbrock", *overrides, "hydra.sweep.dir=sweep")
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not list(here.iterdir())


def test_a_dry_run_shows_the_plan_and_writes_nothing(descend: Command, here: Path) -> None:
    done = descend("-m", "objective=rosenbrock", "optimizer=adam,torch", "optimizer.lr=0.1,0.2", "sweep.dry_run=true")
    assert done.code == 0, done.err
    assert "stacked" in done.out
    assert "one by one" in done.out
    assert "stacked: the runs of a row are one program." in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert "MiB" in done.out
    assert not list(here.iterdir())


def test_a_run_that_raises_is_recorded_and_the_sweep_goes_on(descend: Command, here: Path) -> None:
    (here / "fragile.py").write_text(
        "from descend.objectives.rosenbrock import Rosenbrock\n"
        "class Fragile(Rosenbrock):\n"
        "    batchable = False\n"
        "    def losses(self, params, batch):\n"
        "        if self.b == 2.0 and params['x'][0] > -1.15:\n"
        "            raise ArithmeticError('on purpose')\n"
        "        return super().losses(params, batch)\n"
    )
    overrides = ["objective=rosenbrock", "objective._target_=fragile.Fragile", "optimizer.lr=0.1", "steps=5"]
    done = descend("-m", *overrides, "objective.b=1.0,2.0,3.0", "hydra.sweep.dir=sweep")
    assert done.code == 1
    assert "on purpose" in done.err
    table = pl.read_parquet(here / "sweep" / "sweep.parquet")
    assert table["status"].to_list() == ["finished", "failed", "finished"]


@pytest.fixture
def own(here: Path) -> Path:
    """Classes of a user's own with the mistakes that users make."""
    (here / "own.py").write_text(OWN)
    return here


OWN = """
from dataclasses import dataclass
import torch
from descend.objectives.objective import Objective
from descend.optimizers.optimizer import Optimizer

@dataclass(frozen=True)
class Bowl(Objective):
    def init(self, generator):
        return {"x": torch.randn(3, generator=generator, dtype=torch.float64)}
    def losses(self, params, batch):
        return {"bowl": (params["x"] ** 2).sum()}

@dataclass(frozen=True)
class NoStart(Bowl):
    def init(self, generator):
        raise KeyError("no start")

@dataclass(frozen=True)
class NanForSeed3(Bowl):
    def init(self, generator):
        x = super().init(generator)["x"]
        return {"x": torch.nan * x if generator.initial_seed() == 3 else x}

@dataclass(frozen=True)
class TwoNumbers(Bowl):
    def losses(self, params, batch):
        return {"bowl": params["x"] ** 2}

class Plain(Objective):
    def init(self, generator):
        return {"x": torch.ones(3, dtype=torch.float64)}
    def losses(self, params, batch):
        return {"bowl": (params["x"] ** 2).sum()}

@dataclass(frozen=True)
class Bug(Optimizer):
    def init(self, params):
        return {}
    def step(self, params, gradients, state, loss):
        return {name: x - self.lr * gradients["y"] for name, x in params.items()}, state

@dataclass(frozen=True)
class Forgets(Bug):
    def step(self, params, gradients, state, loss):
        return {name: x - self.lr * gradients[name] for name, x in params.items()}

@dataclass(frozen=True)
class Right(Bug):
    def step(self, params, gradients, state, loss):
        return {name: x - self.lr * gradients[name] for name, x in params.items()}, state
"""


@pytest.mark.parametrize("wrong", ["Bug", "Forgets"])
def test_a_mistake_in_one_optimizer_leaves_the_others_runs(wrong: str, descend: Command, own: Path) -> None:
    swept = [f"optimizer._target_=own.{wrong},own.Right", "optimizer.lr=0.25,0.5", "objective=sphere", "steps=3"]
    done = descend("-m", *swept, "hydra.sweep.dir=sweep", "sweep.keep=none")
    assert done.code == 1
    table = pl.read_parquet(own / "sweep" / "sweep.parquet")
    assert table["status"].to_list() == ["failed"] * 2 + ["finished"] * 2
    assert table["reason"][0].startswith({"Bug": "KeyError: 'y'", "Forgets": "ValueError: not enough values"}[wrong])
    assert "Traceback" not in done.err
    assert "--help" not in done.err


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=1,2"]], ids=["alone", "sweep"])
def test_a_start_that_raises(sweep: list[str], descend: Command, own: Path) -> None:
    done = descend(*sweep, "objective._target_=own.NoStart")
    assert done.code == 2
    assert done.err == "descend: init raised KeyError: 'no start' (own.py, line 17); correct it there.\n"
    assert not (own / "outputs").exists()


def test_a_class_that_is_no_dataclass_runs_alone_and_is_refused_in_a_sweep(descend: Command, own: Path) -> None:
    assert descend("objective._target_=own.Plain", "steps=2").code == 0
    done = descend("-m", "objective._target_=own.Plain", "optimizer.lr=0.1,0.2")
    assert done.code == 2
    assert "Plain, which is not a dataclass" in done.err
    assert "put @dataclass(frozen=True) above class Plain" in done.err


def test_a_sweep_that_is_refused_as_it_begins_leaves_no_folder(descend: Command, own: Path) -> None:
    done = descend("-m", "objective._target_=own.TwoNumbers", "seed=0,1", "steps=2", "hydra.sweep.dir=sweep")
    assert done.code == 2
    assert "'bowl' of TwoNumbers is a tensor of shape [3], but a loss is one number" in done.err
    assert not (own / "sweep").exists()


@pytest.mark.parametrize("optimizer", ["adam", "newton", "torch"], ids=["stacked", "decomposed", "one by one"])
def test_a_start_that_is_nan_is_one_diverged_run_wherever_it_stands(
    descend: Command, own: Path, optimizer: str
) -> None:
    run = ["objective._target_=own.NanForSeed3", f"optimizer={optimizer}", "steps=5"]
    ends = {}
    for seed in (0, 1):
        assert descend(*run, f"seed={seed}", f"hydra.run.dir=alone{seed}").code == 0
        alone = json.loads((own / f"alone{seed}" / "result.json").read_text())
        ends[seed] = alone["status"], alone["value"]
    for place, seeds in enumerate(("3,0,1", "0,3,1", "0,1,3")):
        done = descend("-m", *run, f"seed={seeds}", "sweep.keep=none", f"hydra.sweep.dir=sweep{place}")
        assert done.code == 0, done.err
        table = pl.read_parquet(own / f"sweep{place}" / "sweep.parquet")
        found = {seed: end for seed, *end in table.select("seed", "status", "value").iter_rows()}
        assert found.pop(3)[0] == "diverged"
        assert {seed: tuple(end) for seed, end in found.items()} == ends


def test_a_run_alone_is_refused_where_its_start_is_nan(descend: Command, own: Path) -> None:
    done = descend("objective._target_=own.NanForSeed3", "seed=3")
    assert done.code == 2
    assert "'bowl' of NanForSeed3 is nan at the start; choose a start where it is finite." in done.err


def test_a_sweep_of_nothing_but_starts_that_are_nan(descend: Command, own: Path) -> None:
    """A part of a sweep on another machine may have such runs alone."""
    done = descend("-m", "objective._target_=own.NanForSeed3", "seed=3", "optimizer.lr=1,2", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert pl.read_parquet(own / "sweep" / "sweep.parquet")["status"].to_list() == ["diverged"] * 2


def test_fields_of_metrics_can_be_swept(descend: Command, here: Path) -> None:
    """Their keys begin like the columns of test metrics, which are numbers of the result."""
    few = ["objective=digits_mlp_small", "derivatives=none", "metrics=default", "steps=3", "hydra.sweep.dir=sweep"]
    done = descend("-m", *few, "metrics.test_metrics.every=1,2", "seed=0,1")
    assert done.code == 0, done.err
    table = pl.read_parquet(here / "sweep" / "sweep.parquet")
    assert table["swept.metrics.test_metrics.every"].to_list() == [1, 1, 2, 2]
    assert table["metrics.accuracy"].dtype == pl.Float64


def test_steps_asked_for_and_steps_made_have_a_column_each(descend: Command, here: Path) -> None:
    few = ["objective=sphere", "optimizer=sgd", "optimizer.lr=0.25", "stop.value=1e-3", "hydra.sweep.dir=sweep"]
    assert descend("-m", *few, "steps=2,100").code == 0
    table = pl.read_parquet(here / "sweep" / "sweep.parquet")
    assert table["swept.steps"].to_list() == [2, 100]
    assert table["steps"][0] == 2
    assert table["status"].to_list() == ["finished", "converged"]
    assert table["steps"][1] < 100


def test_trackers_track_the_kept_runs_of_a_sweep(descend: Command, here: Path) -> None:
    few = ["-m", "objective=sphere", "steps=3", "seed=0,1"]
    assert descend(*few, "tracker=none", "hydra.sweep.dir=none").code == 0
    assert len(list((here / "none").glob("0*/result.json"))) == 2
    assert not [*(here / "none").rglob("events.out.*"), *(here / "none").glob("0*/records.parquet")]
    done = descend(*few, "tracker=parquet", "sweep.keep=best", "hydra.sweep.dir=parquet")
    assert len(list((here / "parquet").glob("0*/records.parquet"))) == 2
    assert not list((here / "parquet").rglob("events.out.*"))
    assert "see it" not in done.out
    assert descend(*few, "tracker=tensorboard,none", "hydra.sweep.dir=both").code == 0
    assert sorted(path.parent.name[:5] for path in (here / "both").glob("0*/events.out.*")) == ["00000", "00002"]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("second", [["-m", *SWEEP], ["-m", *SWEEP[:-1], "steps=40"], [*SWEEP[:3]]], ids=str)
def test_a_folder_in_use_is_left_as_it_is(second: list[str], swept: Path, descend: Command) -> None:
    before = files(swept)
    where = "hydra.sweep.dir" if "-m" in second else "hydra.run.dir"
    done = descend(*second, f"{where}={swept}/sweep")
    assert done.code == 2
    assert "holds a run already" in done.err
    assert len(done.err.splitlines()) == 1
    assert files(swept) == before


def test_a_folder_that_cannot_be_made(descend: Command, here: Path) -> None:
    (here / "file").write_text("")
    for place in (["hydra.run.dir=file/a"], ["-m", "seed=0,1", "hydra.sweep.dir=file/a"]):
        done = descend("objective=sphere", "steps=1", *place)
        assert done.code == 2
        assert "file/a cannot be made: Not a directory" in done.err


DAMAGE = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "cut in its middle": lambda path: path.write_bytes(path.read_bytes()[:400] + path.read_bytes()[600:]),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_runs_whose_curves_are_damaged_are_made_again(damage: str, descend: Command, here: Path) -> None:
    command = ["-m", *SWEEP[:-1], "optimizer=adam,sgd", "steps=5"]
    assert descend(*command, "hydra.sweep.dir=sweep").code == 0
    before = pl.read_parquet(here / "sweep" / "sweep.parquet")
    first, *_ = sorted((here / "sweep" / "curves").glob("*.parquet"))
    expected = pl.read_parquet(first)
    DAMAGE[damage](first)
    (here / "sweep" / "curves" / "notes.parquet").write_text("not ours")
    done = descend(*command, "sweep.resume=sweep")
    assert done.code == 0, done.err
    assert "are missing or damaged, so these runs are made again: 0, 2, 4, 6, 8, 10." in done.err
    assert pl.read_parquet(first).equals(expected)
    after = pl.read_parquet(here / "sweep" / "sweep.parquet")
    assert after.drop("seconds", cs.starts_with("provenance")).equals(
        before.drop("seconds", cs.starts_with("provenance"))
    )
    assert (here / "sweep" / "curves" / "notes.parquet").read_text() == "not ours"


def test_a_disk_that_fills_up_is_told_of_and_the_rest_is_kept(
    descend: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    command = ["-m", *SWEEP[:-1], "optimizer=adam,sgd", "steps=5"]
    with monkeypatch.context() as patch:
        patch.setattr("descend.sweeps.store.write_curves", full)
        done = descend(*command, "hydra.sweep.dir=sweep")
    assert done.code == 1
    assert "cannot be written: No space left on device; make room, and finish the sweep with" in done.err
    assert len(done.err.splitlines()) == 1
    done = descend(*command, "sweep.resume=sweep")
    assert done.code == 0, done.err
    assert len(pl.read_parquet(here / "sweep" / "sweep.parquet")) == 12
