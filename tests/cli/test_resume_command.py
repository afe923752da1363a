"""`descend resume=<folder>`: what goes on, what is refused without a trace, and what signals do."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from conftest import Command
from left import assert_same, equal, result, state

import descend as package
from descend.engine.checkpoint import BEFORE, NAME

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
RUN = ["objective=rosenbrock", "compile=false", "metrics=none", "derivatives=none", "checkpoint.every=7"]
SCRIPT = [sys.executable, str(ROOT / "run.py")]


def made(descend: Command, name: str, *more: str) -> Path:
    done = descend(*RUN, f"hydra.run.dir={name}", *more)
    assert done.code == 0, done.err
    return Path(name)


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder, and when it was changed."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def as_killed(folder: Path) -> None:
    """Leave a run's folder as a kill before its first checkpoint does."""
    for name in (NAME, BEFORE, "result.json", "records.parquet", "path.png"):
        (folder / name).unlink(missing_ok=True)


def test_made_longer_again_and_again(descend: Command, here: Path) -> None:
    undisturbed = made(descend, "undisturbed", "steps=60", "metrics=default")
    folder = made(descend, "longer", "steps=20", "metrics=default")
    for steps in (40, 60):
        done = descend("resume=longer", f"steps={steps}")
        assert done.code == 0, done.err
        assert "steps were made" in done.out
        assert result(folder)["steps"] == steps
    assert_same(folder, undisturbed)
    assert descend("resume=longer").code == 0  # by the settings that it has now
    assert_same(folder, undisturbed)
    own = yaml.safe_load((folder / ".hydra" / "overrides.yaml").read_text())
    assert [text for text in own if text.startswith("steps=")] == ["steps=60"]
    assert (folder / "path.png").read_bytes() == (undisturbed / "path.png").read_bytes()


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(descend: Command, here: Path) -> None:
    undisturbed, folder = made(descend, "undisturbed", "steps=30"), made(descend, "killed", "steps=30")
    as_killed(folder)
    done = descend("resume=killed")
    assert done.code == 0, done.err
    assert_same(folder, undisturbed)


def test_from_python(descend: Command, here: Path) -> None:
    undisturbed, folder = made(descend, "undisturbed", "steps=30"), made(descend, "longer", "steps=20")
    found = package.resume(folder, ["steps=30"])
    assert found.steps == 30
    assert found.records.filter(name="value")["step"].sort().to_list() == list(range(31))
    assert equal(package.load(folder), package.load(undisturbed))
    assert_same(folder, undisturbed)


REFUSED = {
    "steps=10": "steps is 10, but the run in run has made 30",
    "optimizer.lr=0.5": "optimizer.lr is 0.5, but the run in run has 0.001",
    "optimizer=sgd": "optimizer is 'sgd', but the run in run has 'adam'",
    "seed=1": "seed is 1, but the run in run has 0",
    "+foo=1": "foo is 1, but the run in run has None",
    "~clip": "clip is to be removed",
    "steps=50,60": "steps=50,60 has several values",
    "steps=many": "steps",
    "checkpoint.every=often": "checkpoint.every is 'often'",
    "-m": "-m stands beside resume",
    "lr===": "lr",
    "resume=other": "resume names 2 folders",
}


def refused(descend: Command, *arguments: str, folder: Path = Path("run")) -> str:
    """What a command says that is refused, with 2 as exit code, and that leaves all as it was."""
    before = contents(folder)
    done = descend(*arguments)
    assert done.code == 2, (done.out, done.err)
    assert contents(folder) == before
    assert "Traceback" not in done.err
    assert done.err.startswith("descend: ")
    return done.err


def test_what_is_otherwise_is_refused(descend: Command, here: Path) -> None:
    made(descend, "run", "steps=30")
    for override, sentence in REFUSED.items():
        assert sentence in refused(descend, "resume=run", override)
    assert descend("resume=run", "seed=0", "optimizer=adam").code == 0  # what it has anyway


def test_a_folder_that_is_no_run_is_refused(descend: Command, here: Path) -> None:
    (here / "run").mkdir()
    (here / "run" / "notes").write_text("mine")
    assert "no run has left a folder there" in refused(descend, "resume=run")
    assert "no run has left a folder there" in refused(descend, "resume=nowhere")
    assert "no run has left a folder there" in refused(descend, "resume=")
    assert [path.name for path in here.iterdir()] == ["run"]


def test_the_folders_of_a_sweep_are_refused(descend: Command, here: Path) -> None:
    assert descend("-m", *RUN[:-1], "seed=0,1", "steps=3", "hydra.sweep.dir=run").code == 0
    assert "run holds a sweep; it goes on by its own command" in refused(descend, "resume=run")


def test_a_sweeps_run_without_a_checkpoint_is_refused(descend: Command, here: Path) -> None:
    assert descend("-m", *RUN[:-1], "seed=0,1", "steps=3", "hydra.sweep.dir=run").code == 0
    [first, second] = sorted(Path("run").glob("0*"))
    (first / NAME).unlink()
    assert f"left no {NAME}" in refused(descend, f"resume={first}", "steps=5")
    (second / ".hydra" / "hydra.yaml").unlink()  # as versions before did
    assert "was made in a sweep, and left no checkpoint" in refused(descend, f"resume={second}")


def test_a_run_that_ended_while_it_started_is_refused(descend: Command, here: Path) -> None:
    folder = made(descend, "run", "steps=3")
    as_killed(folder)
    (folder / ".hydra" / "overrides.yaml").unlink()
    assert "ended while it started" in refused(descend, "resume=run")


def test_another_version_is_refused(descend: Command, here: Path) -> None:
    folder = made(descend, "run", "steps=30")
    content = torch.load(folder / NAME, weights_only=True)
    torch.save(content | {"version": {"descend": "0.0.1", "torch": "1.0"}}, folder / NAME)
    assert "was written by descend 0.0.1 with torch 1.0" in refused(descend, "resume=run", "steps=40")


def test_a_run_that_is_being_written_is_refused(descend: Command, here: Path) -> None:
    folder = made(descend, "run", "steps=30")
    with (folder / ".hydra" / "hydra.yaml").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "run is being written by another process" in refused(descend, "resume=run", "steps=40")


def test_torn_checkpoints(descend: Command, here: Path) -> None:
    undisturbed, folder = made(descend, "undisturbed", "steps=60"), made(descend, "run", "steps=30")
    shutil.copytree(folder, "both")
    (folder / NAME).write_bytes((folder / NAME).read_bytes()[:-50])
    done = descend("resume=run", "steps=60")
    assert done.code == 0
    assert "checkpoint.pt cannot be read, so the one before it is taken" in done.err
    assert_same(folder, undisturbed)
    for name in (NAME, BEFORE):
        Path("both", name).write_bytes(b"torn")
    assert "cannot be read, nor is one before it" in refused(descend, "resume=both", folder=Path("both"))


ENDED = {
    "diverged": ["optimizer=gradient_descent", "optimizer.lr=1"],
    "converged": ["optimizer.lr=0.01", "stop.value=20"],
    "ended (the lowest total has not fallen": ["stop.plateau=3", "optimizer.lr=1.5"],
}


@pytest.mark.parametrize("how", ENDED)
def test_a_run_that_ended_by_itself_is_refused(how: str, descend: Command, here: Path) -> None:
    made(descend, "run", "steps=300", *ENDED[how])
    assert f"The run in run {how}" in refused(descend, "resume=run", "steps=500")


def test_a_schedule_that_would_have_begun_otherwise_is_refused(descend: Command, here: Path) -> None:
    made(descend, "run", "steps=30", "schedule=cosine")
    assert "Cosine is spread over all steps of a run" in refused(descend, "resume=run", "steps=60")
    assert descend("resume=run").code == 0


LONG = ["objective=digits_mlp_small", "compile=false", "steps=1000000", "checkpoint.every=null", "hydra.run.dir=run"]
SWEEP = ["-m", *LONG[:-1], "seed=0,1", "metrics=none", "sweep.keep=none", "hydra.sweep.dir=run"]


def begun(here: Path, command: list[str], sign: str) -> subprocess.Popen[str]:
    """Start a command in a process of its own, and wait until a file shows that it makes steps."""
    process = subprocess.Popen(
        [*SCRIPT, *command],
        cwd=here,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    for _ in range(1200):
        if any(here.glob(sign)) or process.poll() is not None:
            break
        time.sleep(0.05)
    time.sleep(1)
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, said = process.communicate(timeout=120)
    return process.returncode, said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_first(number: int, code: int, descend: Command, here: Path) -> None:
    process = begun(here, LONG, "run/events*")
    process.send_signal(number)
    assert ended(process) == (code, "")
    folder, name = here / "run", signal.Signals(number).name
    steps = result(folder)["steps"]
    assert result(folder)["reason"] == f"it was stopped after step {steps} by {name}"
    assert steps == state(folder)["state"]["step"] > 0
    assert descend("resume=run", f"steps={steps + 20}").code == 0
    settings = [text for text in LONG if not text.startswith(("steps=", "hydra"))]
    assert descend(*settings, f"steps={steps + 20}", "hydra.run.dir=undisturbed").code == 0
    assert_same(folder, here / "undisturbed")


SLOW = """
import time
from dataclasses import dataclass
import torch
from descend.objectives.objective import Objective

@dataclass(frozen=True)
class Slow(Objective):
    batchable = False

    def init(self, generator):
        return {"x": torch.ones(2, dtype=torch.float64)}

    def losses(self, params, batch):
        time.sleep(0.2)
        open("evaluated", "a").close()
        return {"slow": params["x"].square().sum()}
"""


def test_a_second_control_c_stops_at_once(here: Path) -> None:
    """In the middle of a step: no result is written, and what was saved before stays."""
    (here / "slow.py").write_text(SLOW.replace("0.2", "1.0"))
    more = ["objective._target_=slow.Slow", "steps=100", "metrics=none", "derivatives=none", "hydra.run.dir=run"]
    process = begun(here, more, "run/.hydra/overrides.yaml")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "")
    assert not (here / "run" / "result.json").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_lets_a_sweep_save_first(number: int, code: int, here: Path) -> None:
    process = begun(here, SWEEP, "run/sweep.db")
    time.sleep(3)
    process.send_signal(number)
    found, said = ended(process)
    assert (found, "The sweep was stopped with 0 of 2 runs done" in said) == (code, True), said
    [path] = here.glob(f"run/checkpoints/*/{NAME}")
    assert torch.load(path, weights_only=True)["state"]["step"] > 0
