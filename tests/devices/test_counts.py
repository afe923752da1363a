"""How often a step starts a kernel, copies between host and device, and makes the host wait: counts, not times."""

from collections.abc import Sequence
from typing import Any

import pytest
from pretend import Counts, counted
from stacks import MEMORY, ON_DEVICE

from descend.engine import loop
from descend.engine.backends.graph import GraphBackend
from descend.graph.clock import BLOCK
from descend.sweeps.batch import run_group
from descend.sweeps.group import groups
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

pytestmark = pytest.mark.usefixtures("gpus")

QUIET = ["metrics=none", "derivatives=none"]
NET = ["objective=digits_mlp", "objective.network.hidden=[8]", "objective.batch_size=100"]
PER_EPOCH = 14
"""Whole batches of 100 in digits' 1,437 training examples."""


def counts(overrides: Sequence[str], steps: int, monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Count what the steps of a sweep cost once they are recorded: drawing their batches and making them."""
    found = Counts()
    advance, block = GraphBackend.advance, loop.Loop._block

    def blocks(self: Any, size: int) -> Any:
        with counted() as one:
            rows = block(self, size)
        found.launches.update(one.launches)
        found.copies.update(one.copies)
        found.waits.update(one.waits)
        return rows

    monkeypatch.setattr(loop.Loop, "_block", blocks)
    monkeypatch.setattr(loop.Loop, "_size", lambda self, wanted: steps)
    [group] = groups(jobs([*overrides, f"steps={steps}", ON_DEVICE, *QUIET], Grid()), built)
    [*_] = run_group(group, MEMORY)
    monkeypatch.setattr(GraphBackend, "advance", advance)
    return found


@pytest.mark.parametrize("swept", ["optimizer.lr=0.001,0.002", "seed=1,2,3"])
def test_batches_are_brought_to_the_device_once_an_epoch(swept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of runs: their permutations are one tensor."""
    for epochs in (1, 2):
        with monkeypatch.context() as patch:
            found = counts([*NET, swept], epochs * PER_EPOCH, patch)
        copies = {place: n for place, n in found.copies.items() if place[1].startswith("engine/streams.py")}
        assert sum(copies.values()) == epochs
        assert not found.at("launches", "engine/streams.py")
        assert not found.at("waits", "engine/streams.py")


@pytest.mark.parametrize("problem", [NET, ["objective=rosenbrock"], ["objective=fonseca_fleming"]])
def test_no_step_copies_or_waits(problem: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A block costs what it tells at its end, however many steps it has."""
    every = []
    for steps in (2, PER_EPOCH):
        with monkeypatch.context() as patch:
            found = counts([*problem, "optimizer.lr=0.001,0.002"], steps, patch)
        every.append((sum(found.copies.values()), sum(found.waits.values())))
    assert every[0] == every[1]


SWEPT = ["seed=1,2", "optimizer.lr=0.001,0.002"]
BETAS = "optimizer.betas=[0.8,0.99],[0.9,0.999]"


def per_step(overrides: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], float]:
    """Return the launches of a step by operation and line: of two more blocks of the clock's, by their steps."""
    every = []
    for steps in (BLOCK, 3 * BLOCK):
        with monkeypatch.context() as patch:
            every.append(counts(overrides, steps, patch).launches)
    few, many = every
    return {place: (n - few[place]) / (2 * BLOCK) for place, n in many.items() if n != few[place]}


@pytest.mark.parametrize(
    ("swept", "most"),
    [([], 41), (SWEPT, 42), ([*SWEPT, BETAS], 42)],
    ids=["alone", "rates and seeds swept", "betas too"],
)
def test_a_step_of_adam_launches_few_kernels(swept: list[str], most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = per_step(["objective=digits_mlp", *swept], monkeypatch)
    assert sum(found.values()) <= most, found


def test_runs_add_no_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (per_step([*NET, seeds], monkeypatch) for seeds in ("seed=range(0,32)", "seed=range(0,64)"))
    assert few == many
