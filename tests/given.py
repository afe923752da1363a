"""What the tests of metrics and sinks share: an observation, records, a result, real runs and a served TensorBoard."""

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from torch import Tensor

from descend import cli
from descend.engine.result import Result
from descend.records import Column, Records
from descend.types import Loss, Observation, Params, Total


def sum_of_squares(params: Params) -> Tensor:
    return reduce(torch.add, ((x**2).sum() for x in params.values()))


@pytest.fixture
def observe() -> Callable[..., Observation]:
    """Make an observation of a loss at given parameters; everything else can be given too."""

    def make(params: Params, loss: Loss = sum_of_squares, **given: Any) -> Observation:
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        value = loss(leaves)
        gradients = dict(zip(params, torch.autograd.grad(value, list(leaves.values())), strict=True))
        zeros = {name: torch.zeros_like(x) for name, x in params.items()}
        fields: dict[str, Any] = {
            "step": 3,
            "params": params,
            "losses": {"value": value.detach()},
            "weights": torch.ones(1, dtype=value.dtype),
            "gradients": gradients,
            "previous": zeros,
            "previous_losses": {"value": value.detach()},
            "update": zeros,
            "lr": 0.1,
            "loss": loss,
            "total": lambda examples: Total(loss),
            "jacobian": lambda: torch.stack([torch.cat([g.reshape(-1) for g in gradients.values()])]),
            "evaluate": dict,
        }
        return Observation(**(fields | given))

    return make


def column(steps: list[int], values: object) -> Column:
    return Column(np.array(steps, np.int64), np.asarray(values, np.float64))


@pytest.fixture
def records() -> Records:
    """Four steps of a run: a value at each, a norm at every second, a histogram at the last."""
    histogram = [[[-1.0, 0.0, 1.0, 2.0], [1.0, 0.0, 5.0, 2.0]]]
    return Records(
        scalars={
            "value": column([0, 1, 2, 3], [4.0, 1.5, np.nan, np.inf]),
            "loss/a": column([0, 1, 2, 3], [1.0, 2.0, 3.0, 4.0]),
            "gradient/norm": column([0, 2], [1e-3, 2e-3]),
        },
        histograms={"parameter/histogram/x": column([3], histogram)},
    )


@pytest.fixture
def result(records: Records) -> Result:
    return Result(
        status="finished",
        reason="all 3 steps were made",
        steps=3,
        value=0.25,
        best_value=0.125,
        losses={"cross_entropy": 0.2, "penalty": 0.05},
        gradient_norm=1e-3,
        evaluations={"function": 4, "gradient": 4, "hvp": 0, "hessian": 0},
        seconds=2.0,
        parameters={"x": [1.0, 2.0]},
        metrics={"accuracy": 0.975},
        blocks=[records],
    )


RUNS = {
    "rosenbrock": ["objective=rosenbrock", "optimizer.lr=0.05", "derivatives=second", "steps=300", "compile=false"],
    "digits": ["objective=digits_mlp", "steps=300", "compile=false", "threads=1"],
}


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two real runs, made by the command that the README names, in this process."""
    folder = tmp_path_factory.mktemp("outputs")
    for name, overrides in RUNS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["run.py", *overrides, f"hydra.run.dir={folder / name}"])
            patch.setattr(sys, "path", sys.path[:])
            patch.setenv("HYDRA_FULL_ERROR", "1")
            GlobalHydra.instance().clear()
            cli.main()
    GlobalHydra.instance().clear()
    return folder


@contextmanager
def serving(folder: Path, *options: str, names: set[str] | None = None) -> Iterator[str]:
    """Serve TensorBoard on this machine alone; yields its address once every run of the folder is loaded.

    Args:
        names: of the runs; every entry of the folder where none are given.
    """
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1", "--port", "0"]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in process.stderr)
            address = next(place[0] for place in found if place is not None)
            wait_for_runs(address, names or {path.name for path in folder.iterdir()})
            yield address
        finally:
            process.terminate()


def wait_for_runs(address: str, names: set[str]) -> None:
    deadline = time.monotonic() + 120
    while set(fetched(f"{address}data/runs")) != names:
        assert time.monotonic() < deadline, f"TensorBoard has not loaded {names}"
        time.sleep(0.2)


def fetched(address: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


@pytest.fixture(scope="session")
def serve() -> Callable[..., AbstractContextManager[str]]:
    """Serve a folder of one's own, as a context."""
    return serving


@pytest.fixture(scope="session")
def served(runs: Path) -> Iterator[str]:
    """The address of a TensorBoard that shows the runs."""
    with serving(runs) as address:
        yield address


@pytest.fixture
def fetch() -> Callable[..., object]:
    """Get JSON from an address, or post JSON to it."""
    return fetched
