"""`python run.py -m`: what it leaves, how it goes on after an interruption, and what it refuses."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
import yaml

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


def test_a_kept_run_has_the_configuration_that_gives_it_alone(swept: Path, descend) -> None:
    kept = sorted((swept / "sweep").glob("0*/.hydra"))[3]
    overrides = yaml.safe_load((kept / "overrides.yaml").read_text())
    assert set(overrides) > {"optimizer.lr=0.01", "seed=1"}
    alone = descend(*overrides)
    for name in ("config.yaml", "overrides.yaml"):
        assert (kept / name).read_text() == (alone.folder / ".hydra" / name).read_text()
    found, expected = (json.loads((folder / "result.json").read_text()) for folder in (kept.parent, alone.folder))
    assert found["value"] == pytest.approx(expected["value"], rel=1e-10)


def test_kept_none_leaves_tensorboard_nothing_and_the_rest(swept: Path, descend, here: Path) -> None:
    assert descend("-m", *SWEEP, "sweep.keep=none", "hydra.sweep.dir=bare").code == 0
    assert not list((here / "bare").rglob("events.out.tfevents.*"))
    assert not list((here / "bare").glob("0*"))
    tables = [pl.read_parquet(folder / "sweep.parquet") for folder in (here / "bare", swept / "sweep")]
    assert tables[0]["value"].to_list() == pytest.approx(tables[1]["value"].to_list(), rel=1e-12)
    assert (here / "bare" / "sweep.png").exists()


def test_a_sweep_over_nothing_is_one_run(descend, here: Path) -> None:
    done = descend("-m", "objective=rosenbrock", "steps=5", "hydra.sweep.dir=one")
    assert (done.code, done.err) == (0, "")
    assert "1 run: 1 finished" in done.out
    assert len(list((here / "one").glob("00000-*/result.json"))) == 1


def test_resuming_a_finished_sweep_does_nothing_and_changes_nothing(swept: Path, descend) -> None:
    before = pl.read_parquet(swept / "sweep" / "sweep.parquet")
    done = descend("-m", *SWEEP, f"sweep.resume={swept}/sweep")
    assert done.code == 0, done.err
    assert pl.read_parquet(swept / "sweep" / "sweep.parquet").equals(before)


def test_another_sweeps_folder_is_refused(swept: Path, descend) -> None:
    done = descend("-m", *SWEEP[:-1], "steps=40", f"sweep.resume={swept}/sweep")
    assert done.code == 2
    assert "another sweep" in done.err
    assert "steps=40" in done.err
    assert "Traceback" not in done.err


def test_a_damaged_index_is_refused(descend, here: Path) -> None:
    (here / "sweep").mkdir()
    (here / "sweep" / "sweep.db").write_bytes(b"this is no database, and long enough to be read as one" * 40)
    done = descend("-m", *SWEEP, "sweep.resume=sweep")
    assert done.code == 2
    assert "damaged" in done.err


def test_a_killed_sweep_goes_on_to_the_same_table(swept: Path, descend, here: Path) -> None:
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
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as index:
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
    overrides: list[str], said: str, descend, here: Path
) -> None:
    done = descend("-m", "objective=rosenbrock", *overrides, "hydra.sweep.dir=sweep")
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not list(here.iterdir())


def test_a_dry_run_shows_the_plan_and_writes_nothing(descend, here: Path) -> None:
    done = descend("-m", "objective=rosenbrock", "optimizer=adam,torch", "optimizer.lr=0.1,0.2", "sweep.dry_run=true")
    assert done.code == 0, done.err
    assert "stacked" in done.out
    assert "one by one" in done.out
    assert "MiB" in done.out
    assert not list(here.iterdir())


def test_a_run_that_raises_is_recorded_and_the_sweep_goes_on(descend, here: Path) -> None:
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
