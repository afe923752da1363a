"""Runs from the command line: their folder, their exit code, what they say."""

import errno
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
import yaml
from conftest import Command

from descend.engine.backends.graph import GraphBackend
from descend.menu import FOLDER

QUICK = ["objective=rosenbrock", "steps=20"]

OWN = """
from dataclasses import dataclass
import torch
from descend.objectives.objective import Objective

@dataclass(frozen=True)
class Own(Objective):
    power: float = 2.0

    def init(self, generator):
        return {"x": torch.tensor([3.0, -1.0], dtype=torch.float64)}

    def losses(self, params, batch):
        return {"own": params["x"].abs().pow(self.power).sum()}
"""


def names(folder: Path) -> list[str]:
    """The files of a run's folder, the event file without its time and host."""
    return sorted(path.name.split(".tfevents.")[0] for path in folder.iterdir())


def result(folder: Path) -> dict:
    return json.loads((folder / "result.json").read_text())


def test_the_files_of_a_run(descend: Command, here: Path) -> None:
    done = descend("objective=digits_mlp", "steps=3", "objective.network.hidden=[4]")
    assert done.code == 0, done.err
    assert done.err == ""
    left = [".hydra", "checkpoint.pt", "events.out", "records.parquet", "result.json", "snapshots.pt"]
    assert names(done.folder) == left
    assert names(done.folder / ".hydra") == ["config.yaml", "hydra.yaml", "overrides.yaml"]
    assert [path.name for path in here.iterdir()] == ["outputs"]
    assert done.folder.parent.parent == here / "outputs"


def test_a_run_on_two_numbers_leaves_its_picture_too(descend: Command) -> None:
    assert "path.png" in names(descend(*QUICK).folder)


def test_the_files_agree(descend: Command) -> None:
    done = descend(*QUICK, "optimizer=sgd", "optimizer.lr=1e-4", "seed=3")
    found = result(done.folder)
    assert (found["status"], found["steps"], found["provenance"]["seed"]) == ("finished", 20, 3)
    records = pl.read_parquet(done.folder / "records.parquet")
    assert records.columns == ["run", "step", "name", "value"]
    values = records.filter(name="value").sort("step")
    assert values["step"].to_list() == list(range(21))
    assert values["value"][-1] == found["value"]
    checkpoint = torch.load(done.folder / "checkpoint.pt", weights_only=True)
    assert checkpoint["trained"]["last"]["x"].tolist() == found["parameters"]["x"]
    assert yaml.safe_load((done.folder / ".hydra/config.yaml").read_text())["optimizer"]["lr"] == 1e-4
    assert found["provenance"]["command"][1:] == [*QUICK, "optimizer=sgd", "optimizer.lr=1e-4", "seed=3"]


def test_the_last_line_tells_how_it_went_and_where_it_is(descend: Command, here: Path) -> None:
    done = descend(*QUICK)
    assert done.out.startswith("finished: all 20 steps were made; value ")
    assert done.out.strip().endswith(str(done.folder.relative_to(here)))
    assert len(done.out.splitlines()) == 1


def test_two_runs_never_share_a_folder(descend: Command) -> None:
    descend(*QUICK)
    assert len(descend(*QUICK).folders) == 2


@pytest.mark.parametrize("sweep", ["-m", "hydra.mode=MULTIRUN"])
def test_either_way_of_asking_for_a_sweep(descend: Command, here: Path, sweep: str) -> None:
    assert descend(*QUICK, "seed=1,2", sweep).code == 0
    [table] = here.glob("outputs/*/*/sweep.parquet")
    assert pl.read_parquet(table)["seed"].to_list() == [1, 2]


def test_no_steps(descend: Command) -> None:
    found = result(descend("objective=rosenbrock", "steps=0").folder)
    assert (found["status"], found["steps"], found["value"]) == ("finished", 0, pytest.approx(24.2))


def test_the_same_from_python_as_from_the_command_line(descend: Command) -> None:
    import descend as package

    overrides = [*QUICK, "optimizer=rmsprop", "schedule=cosine", "clip=norm", "derivatives=second"]
    found, expected = result(descend(*overrides).folder), json.loads(package.run(overrides).json())
    for volatile in ("seconds", "provenance"):
        del found[volatile], expected[volatile]
    assert found == expected


def test_a_diverging_run_is_a_result(descend: Command) -> None:
    done = descend("objective=rosenbrock", "optimizer=gradient_descent", "optimizer.lr=1", "steps=500")
    assert done.code == 0
    found = result(done.folder)
    assert found["status"] == "diverged"
    assert found["reason"].startswith("the loss 'value' became ")
    assert found["reason"].endswith(f"at step {found['steps']}")
    assert found["value"] is None
    values = pl.read_parquet(done.folder / "records.parquet").filter(name="value").sort("step")
    assert values["step"].to_list() == list(range(found["steps"] + 1))
    assert {"checkpoint.pt", "events.out"} <= set(names(done.folder))


def test_a_run_that_converges(descend: Command) -> None:
    found = result(descend("objective=sphere", "optimizer=sgd", "optimizer.lr=0.1", "stop.gradient_norm=1e-3").folder)
    assert found["status"] == "converged"
    assert found["gradient_norm"] <= 1e-3


def failing_after(call: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the `call`-th block of a run raise."""
    calls, advance = iter(range(1, 100)), GraphBackend.advance

    def failing(*arguments: Any) -> object:
        if next(calls) == call:
            raise error
        return advance(*arguments)

    monkeypatch.setattr(GraphBackend, "advance", failing)


def test_a_failing_run_keeps_what_there_is(descend: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_after(3, RuntimeError("the disk is on fire"), monkeypatch)
    done = descend(*QUICK)
    assert done.code == 1
    assert "the run failed: RuntimeError: the disk is on fire" in done.err
    assert "Traceback" not in done.err
    assert result(done.folder)["status"] == "failed"
    assert pl.read_parquet(done.folder / "records.parquet").height > 0
    assert "the disk is on fire" in (done.folder / "error.txt").read_text()


def test_control_c(descend: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_after(3, KeyboardInterrupt(), monkeypatch)
    done = descend(*QUICK)
    assert done.code == 130
    assert "Traceback" not in done.err
    found = result(done.folder)
    assert found["status"] == "interrupted"
    assert found["steps"] == torch.load(done.folder / "checkpoint.pt", weights_only=True)["state"]["step"] > 0
    assert pl.read_parquet(done.folder / "records.parquet").filter(name="value").height == found["steps"]


def test_result_comes_last(descend: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from descend.engine.result import Result

    seen: list[list[str]] = []
    monkeypatch.setattr(Result, "write", lambda self, folder: seen.append(names(folder)))
    descend(*QUICK)
    assert seen == [[".hydra", "checkpoint.pt", "events.out", "path.png", "records.parquet"]]


def test_an_objective_of_ones_own(descend: Command, here: Path) -> None:
    (here / "own_objective.py").write_text(OWN)
    target = "objective._target_=own_objective.Own"
    found = result(descend(target, "steps=0").folder)
    assert found["losses"] == {"own": 10.0}
    found = result(descend(target, "+objective.power=3", "steps=0").folders[-1])
    assert found["losses"] == {"own": 28.0}
    done = descend(target, "+objective.powr=3")
    assert done.code == 2
    assert "Did you mean 'power'" in done.err


@pytest.mark.parametrize("quoted", ["x**3 + 2*x**2 + 3*x + 4", "'exp(x) - x'"])
def test_a_formula(descend: Command, quoted: str) -> None:
    done = descend("objective=expression", f"objective.formula={quoted}", "objective.start={x: 2.0}", "steps=0")
    expected = {"x**3 + 2*x**2 + 3*x + 4": 26.0, "'exp(x) - x'": 5.38905609893065}[quoted]
    assert result(done.folder)["value"] == pytest.approx(expected)


def test_what_a_configuration_looks_like_makes_no_run(descend: Command, here: Path) -> None:
    done = descend("--cfg", "job", "optimizer=adam", "optimizer.lr=0.5")
    assert done.code == 0
    assert yaml.safe_load(done.out)["optimizer"]["lr"] == 0.5
    assert not list(here.iterdir())


def test_every_combination_by_the_sweeper_of_hydra(descend: Command, here: Path) -> None:
    """Our own sweeper has tests of its own; Hydra's stays usable."""
    done = descend("-m", "hydra/sweeper=basic", "hydra/launcher=basic", QUICK[0], "optimizer=sgd,adam", "steps=2,3")
    assert done.code == 0, done.err
    found = [json.loads(path.read_text()) for path in sorted(here.glob("outputs/*/*/*/result.json"))]
    assert [result["steps"] for result in found] == [2, 3, 2, 3]
    assert found[0]["value"] != found[2]["value"]


def test_help_names_every_choice_without_torch_or_hydra(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['descend', '--help']; from descend.cli import main; main(); "
        "sys.exit(3 if {'torch', 'hydra', 'omegaconf', 'polars', 'numpy'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, "--help imports what it can do without" if done.returncode == 3 else done.stderr
    for path in FOLDER.glob("*/**/*.yaml"):
        described = next(line for line in path.read_text().splitlines() if not line.startswith("# @")).lstrip("# ")
        choice = str(path.relative_to(FOLDER).with_suffix("")).partition("/")[2]
        lines = [line for line in done.stdout.splitlines() if line.split()[:1] == [choice]]
        assert any(described in line for line in lines), path
    for setting in ("steps: 2000", "seed: 0", "dtype: auto", "device: auto", "gradient_norm: null"):
        assert setting in done.stdout


def test_help_stays_within_its_lines(descend: Command) -> None:
    done = descend("--help")
    assert max(map(len, done.out.splitlines())) <= 140


def test_from_anywhere_by_file_and_by_command(tmp_path: Path) -> None:
    script = [sys.executable, str(Path(__file__).parents[2] / "run.py")]
    installed = shutil.which("descend", path=str(Path(sys.executable).parent))
    assert installed is not None
    for command in (script, [installed]):
        done = subprocess.run([*command, *QUICK], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
    assert len(list(tmp_path.glob("outputs/*/*/result.json"))) == 2


def test_a_reader_that_has_read_enough(tmp_path: Path) -> None:
    """`descend --help | head -1`, with a pipe too small for the rest."""
    script = str(Path(__file__).parents[2] / "run.py")
    process = subprocess.Popen(
        [sys.executable, script, "--help"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait(60)) == (b"", 0)
    process.stderr.close()


INTERRUPTED = """
import os, signal, sys, time
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(1)
            except KeyboardInterrupt:
                pass
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Interrupt())
sys.argv = ["descend", "objective=sphere", "steps=3"]
from descend.cli import main
main()
"""


def test_control_c_while_it_starts(tmp_path: Path) -> None:
    """Where an import swallows it, as those of torch and numpy do: they go on with half of what they need."""
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr, done.stdout) == (130, "", "")
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_at_the_end(descend: Command, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The result is printed, and no file is left that could be taken for a whole one."""

    @contextmanager
    def full(path: Path) -> Iterator[None]:
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    for module in ("engine.checkpoint", "engine.result", "engine.snapshots"):
        monkeypatch.setattr(f"descend.{module}.whole", full)
    done = descend(*QUICK, "checkpoint.snapshots=20")
    assert done.code == 1
    assert done.out.startswith("finished: all 20 steps were made; value ")
    assert "checkpoint.pt cannot be written: [Errno 28] No space left on device; the run goes on" in done.err
    assert "result.json cannot be written: No space left on device; make room and run it again." in done.err
    assert "Traceback" not in done.err
    assert "snapshots cannot be written: [Errno 28] No space left on device; the run goes on" in done.err
    assert not {"result.json", "checkpoint.pt", "snapshots.pt"} & set(names(done.folder))


def test_a_shell_that_gives_few_addresses(tmp_path: Path) -> None:
    """`ulimit -v 1500000`: polars would abort the process."""
    limit = 1_500_000 * 1024
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parents[2] / "run.py"), *QUICK],
        cwd=tmp_path,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("descend: This shell gives a process 1.4 GiB of addresses")
    assert not list(tmp_path.iterdir())
