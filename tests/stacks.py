"""A run and a stack of runs on a device, stopped half-way and gone on with, beside the same on the CPU."""

import math
from collections.abc import Sequence
from pathlib import Path

import descend
from descend.engine.checkpoint import Every, load
from descend.engine.result import Result
from descend.engine.run import Run
from descend.menu.build import build
from descend.menu.compose import compose
from descend.sweeps.batch import run_group, run_serially
from descend.sweeps.checkpoints import Checkpoints
from descend.sweeps.group import groups
from descend.sweeps.job import Chunk
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

MEMORY = 1 << 33
ON_DEVICE = "device=cuda"


def alone(overrides: Sequence[str]) -> Result:
    """Make one run."""
    return descend.run(list(overrides))


def interrupted(overrides: Sequence[str], folder: Path, step: int) -> tuple[Result, Result]:
    """Make one run, and make it again from the checkpoint that it left after `step` steps."""
    path = folder / "checkpoint.pt"
    through = Run(build(compose(list(overrides)), list(overrides)))
    through.keep(path, Every(steps=step), [])
    [*_] = through
    again = Run(build(compose(list(overrides)), list(overrides)), backend=through.loop.backend.name)
    again.restore(load(path))
    assert again.loop.step == step
    [*_] = again
    return through.result(), again.result()


def stack(overrides: Sequence[str], checkpoints: Checkpoints | None = None) -> list[Chunk]:
    """Make the runs of a sweep, stacked where they can be."""
    found: list[Chunk] = []
    for group in groups(jobs(list(overrides), Grid()), built):
        every = run_serially(group, built) if group.serial else run_group(group, MEMORY, checkpoints=checkpoints)
        found.extend(every)
    return found


def results(chunks: Sequence[Chunk]) -> list[Result]:
    """Return the results of chunks in the order of their jobs."""
    pairs = [pair for chunk in chunks for pair in zip(chunk.jobs, chunk.results, strict=True)]
    return [result for _, result in sorted(pairs, key=lambda pair: pair[0].index)]


def same(found: Result, right: Result) -> None:
    """Hold two results against each other, to the bit."""
    for name in ("status", "reason", "steps", "evaluations", "losses", "metrics", "parameters", "values"):
        assert repr(getattr(found, name)) == repr(getattr(right, name)), name
    for name in ("value", "best_value", "gradient_norm"):
        a, b = getattr(found, name), getattr(right, name)
        assert a == b or (math.isnan(a) and math.isnan(b)), f"{name}: {a!r}, but right is {b!r}"
    assert found.provenance["backend"] == right.provenance["backend"]


def hold(overrides: Sequence[str], folder: Path, swept: Sequence[str] = ("seed=1,2",)) -> None:
    """Hold three steps on the device, alone, resumed and in a stack, against the same on the CPU."""
    overrides = [*overrides, "steps=3"]
    there = [*overrides, ON_DEVICE]
    right = alone(overrides)
    for found in interrupted(there, folder, 2):
        assert found.provenance["device"].startswith("pretend")
        same(found, right)
    here, on_device = results(stack([*overrides, *swept])), results(stack([*there, *swept]))
    assert len(here) == len(on_device) > 1
    for one, other in zip(on_device, here, strict=True):
        same(one, other)
