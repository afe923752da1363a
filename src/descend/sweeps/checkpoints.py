"""What the chunks of a sweep leave while they are made, so that a kill costs little of them."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from descend.atomic import clear_temporaries, remove
from descend.engine.checkpoint import BEFORE, NAME, SPARE, Clock, Every, load, save
from descend.engine.curves import Curves
from descend.engine.loop import Loop
from descend.errors import ConfigurationError
from descend.sweeps.ends import Ends
from descend.sweeps.halving import Rung
from descend.sweeps.job import Chunk, Group


@dataclass(frozen=True)
class Checkpoints:
    """Where the chunks of a sweep that are being made leave their state, so that a kill costs little of them.

    Args:
        folder: one folder for each chunk goes there, while it is made.
        every: how often.
        stopping: names what asks the sweep to stop (a signal, say), or None: the chunk then leaves its state at once.
        ends: keeps where the best runs ended, or None.
        rungs: at which runs are ranked; a chunk waits at the first that is not.
    """

    folder: Path
    every: Every
    stopping: Callable[[], str | None] = lambda: None
    ends: Ends | None = None
    rungs: tuple[Rung, ...] = ()

    def path(self, chunk: Chunk | Group) -> Path:
        """Return the file of a chunk of jobs."""
        return self.folder / f"{chunk.jobs[0].index:07}" / NAME

    def chunks_begun(self, group: Group) -> list[list[int]]:
        """Return the places of the jobs of each chunk that was begun, of those that are all in the group."""
        place = {job.index: i for i, job in enumerate(group.jobs)}
        found = []
        for path in sorted({folder / NAME for folder in self.folder.glob("*") if any(folder.glob("*.pt"))}):
            jobs = (read_checkpoint(path) or {"jobs": [None]})["jobs"]
            if all(job in place for job in jobs):
                found.append([place[job] for job in jobs])
        return found

    def forget(self, chunk: Chunk | Group) -> None:
        """Remove what a chunk left that is complete now."""
        clear(self.path(chunk).parent)

    def clear(self) -> None:
        """Remove what chunks left that were complete when a kill came, once the sweep is."""
        for folder in self.folder.glob("*"):
            clear(folder)
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()


def clear(folder: Path) -> None:
    """Remove the checkpoints of a chunk, and its folder if nothing else is in it."""
    clear_temporaries(folder)
    for name in (NAME, BEFORE, SPARE):
        remove(folder / name)
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def keep_checkpoints(loop: Loop, curves: Curves, group: Group, checkpoints: Checkpoints) -> None:
    """Let a loop go on from its checkpoint, if it has one, and leave checkpoints while it goes on."""
    path, jobs = checkpoints.path(group), [job.index for job in group.jobs]
    content = read_checkpoint(path)
    if content is not None and content["jobs"] == jobs and content["state"]["backend"] == loop.backend.name:
        loop.restore(content["state"])
        curves.restore(content["curves"])
        if not checkpoints.rungs:  # of a sweep with rungs that is resumed, the bar shows what is made from here on
            loop.progress(loop.step * len(jobs))
    loop.clock, loop.stopping = Clock(checkpoints.every, loop.step), checkpoints.stopping

    def write(state: dict[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        save({"jobs": jobs, "state": state, "curves": curves.state()}, path)

    loop.save = write


def read_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return a chunk's checkpoint; None where there is none, or none that can be used: the chunk is then made again."""
    if not path.exists() and not path.with_name(BEFORE).exists():
        return None
    try:
        return load(path)
    except ConfigurationError:
        print(
            f"descend: {path} cannot be read or is of another version, so its runs are made again from their start.",
            file=sys.stderr,
        )
        return None
