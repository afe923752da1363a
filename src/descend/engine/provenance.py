"""Where a result comes from: versions, commit, machine, command."""

import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from descend.devices import described
from descend.engine.experiment import Experiment
from descend.types import Params
from descend.vectors import numel


def provenance(experiment: Experiment, params: Params, threads: int, backend: str) -> dict[str, Any]:
    """Return the facts that are needed to get a result again; `params` give size, device and dtype."""
    some = next(iter(params.values()))
    return {
        **source(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": str(some.device),
        "device_name": platform.machine(),
        **described(some.device),
        "parameters": numel(params),
        "dtype": str(some.dtype).removeprefix("torch."),
        "threads": threads,
        "backend": backend,
        "seed": experiment.seed,
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }


@cache
def source() -> dict[str, Any]:
    """Return the version and commit of descend, looked up once: this process keeps the source that it has imported."""
    return {"version": version("descend"), **commit()}


def commit() -> dict[str, Any]:
    """Return the git commit of descend's own source and whether it was changed since; None outside a checkout."""
    folder = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", __file__) is None:
        return {"commit": None, "dirty": None}
    return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain", "--untracked-files=no"))}
