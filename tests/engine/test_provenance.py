"""Where a result says it comes from."""

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from toys import Line

from descend.engine import provenance as module
from descend.engine.experiment import Experiment
from descend.engine.provenance import commit
from descend.engine.run import run


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_run_tells_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/some/where/run.py", "steps=1"])
    found = run(Experiment(Line(), seed=5, dtype="float32", threads=1, steps=1)).provenance
    assert found["version"] == version("descend")
    assert found["torch"] == torch.__version__
    assert found["command"] == ["run.py", "steps=1"]
    assert {name: found[name] for name in ("seed", "dtype", "device", "threads", "backend")} == {
        "seed": 5,
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "backend": "graph",
    }
    assert set(found) >= {"commit", "dirty", "python", "device_name"}


def test_the_commit_of_the_source_and_whether_it_was_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source.py"
    source.write_text("one")
    monkeypatch.setattr(module, "__file__", str(source))
    assert commit() == {"commit": None, "dirty": None}
    git(tmp_path, "init", "-q")
    assert commit() == {"commit": None, "dirty": None}  # a checkout of something else
    git(tmp_path, "add", "source.py")
    git(tmp_path, "commit", "-qm", "one")
    head = git(tmp_path, "rev-parse", "HEAD").strip()
    assert commit() == {"commit": head, "dirty": False}
    source.write_text("two")
    assert commit() == {"commit": head, "dirty": True}


def test_a_machine_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*arguments: object, **options: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(module.subprocess, "run", absent)
    assert commit() == {"commit": None, "dirty": None}
