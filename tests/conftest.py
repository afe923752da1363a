"""Settings shared by every test, and the real command line in this process."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hypothesis import settings

from descend import cli

pytest_plugins = ["given", "gpus"]

# A deadline in milliseconds measures how busy the machine is, not the code. The same commit is judged by the same
# examples each time; `--hypothesis-profile=explore` draws others.
settings.register_profile("descend", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("descend")

# A thread that waits for another sleeps instead of spinning: where two processes share two cores, that is a quarter of
# the CPU time. Torch reads it while it is imported, so it is for xdist's processes and for those that tests start.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Threads that wait for each other on a busy machine make a small Hessian a thousand times slower than one thread does.
torch.set_num_threads(1)


def pytest_collection_finish() -> None:
    """What is imported by now stays: to look through it for garbage takes a twentieth of the tests' time."""
    gc.collect()
    gc.freeze()


@dataclass(frozen=True)
class Done:
    """What a command left: its exit code, what it printed, and the folders of its runs."""

    code: int
    out: str
    err: str
    folders: list[Path]

    @property
    def folder(self) -> Path:
        [folder] = self.folders
        return folder


Command = Callable[..., Done]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and the user is in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def descend(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Command]:
    """Run `descend <arguments>`."""
    modules, path = set(sys.modules), sys.path[:]
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def command(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["descend", *arguments])
        GlobalHydra.instance().clear()
        try:
            cli.main()
            code = 0
        except SystemExit as exit:
            code = int(exit.code or 0)
        captured = capfd.readouterr()
        folders = sorted(path.parent for path in here.glob("outputs/**/.hydra"))
        return Done(code, captured.out, captured.err, folders)

    yield command
    GlobalHydra.instance().clear()
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(here)):
            del sys.modules[name]
