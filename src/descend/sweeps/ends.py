"""Where the best runs of a sweep ended, as checkpoints: a kept run's folder gets its own, as if it had run alone."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from descend.atomic import clear_temporaries, whole
from descend.engine.checkpoint import NAME, put
from descend.engine.loop import Loop
from descend.engine.program import Final
from descend.engine.result import Result
from descend.engine.results import content
from descend.sweeps.job import Job

ENDS = "ends"
"""The folder, in that of a sweep, where checkpoints wait until it is known which runs are kept."""


def compared_by(status: str, value: float | None, losses: Mapping[str, float | None]) -> float | None:
    """Return what a run is compared by: its total, or the raw sum of several losses, which no weights enter.

    A run that diverged or failed comes behind all that did not, as `with_rank` has it in the table.
    """
    if status in ("diverged", "failed"):
        return math.inf
    if value is None or len(losses) < 2:
        return value
    return math.inf if None in losses.values() else sum(x for x in losses.values() if x is not None)


def ranked(values: Mapping[int, float | None]) -> list[int]:
    """Return runs in the order of their values, the lowest first; those without a finite one come last."""
    keys = {run: (0, x) if x is not None and math.isfinite(x) else (1, 0.0) for run, x in values.items()}
    return sorted(values, key=lambda run: (keys[run], run))


class Ends:
    """Keeps the checkpoints of the runs that may yet be among the best of a sweep.

    Those of a chunk are written before its rows are in the index, so that a kill loses none.

    Args:
        folder: of the sweep.
        most: how many runs are kept in the end.
        values: what the runs that are done are compared by, by their index.
    """

    def __init__(self, folder: Path, most: int, values: Mapping[int, float | None]) -> None:
        self._folder, self._most, self._values = folder / ENDS, most, dict(values)

    def add(self, jobs: Sequence[Job], results: Sequence[Result], loop: Loop, final: Final) -> None:
        """Write the checkpoints of a chunk's runs that are among the best by now, and drop those that no longer are."""
        place = {job.index: i for i, job in enumerate(jobs)}
        before = ranked(self._values)[: self._most]
        self._values |= {
            run: compared_by(results[i].status, results[i].value, results[i].losses) for run, i in place.items()
        }
        after = set(ranked(self._values)[: self._most])
        fresh = sorted(after & place.keys())
        if fresh:
            self._folder.mkdir(exist_ok=True)
            state = loop.resumable()
        for run in fresh:
            with whole(self._folder / waiting(run)) as file:
                put(content(loop, state, final.standing, place[run]), file)
        for run in set(before) - after:
            (self._folder / waiting(run)).unlink(missing_ok=True)


def waiting(run: int) -> str:
    """Return the name of a run's checkpoint among those that wait."""
    return f"{run:07}.pt"


def hand_out(folder: Path, folders: Mapping[int, Path]) -> None:
    """Move the checkpoints that wait in a sweep's folder to the runs' own, and remove the others."""
    place = folder / ENDS
    for run, own in folders.items():
        if (place / waiting(run)).exists():
            (place / waiting(run)).replace(own / NAME)
    if place.exists():
        clear_temporaries(place)
        for path in place.glob("*.pt"):
            path.unlink()
        if not any(place.iterdir()):
            place.rmdir()


def take_back(folder: Path, run: int, own: Path) -> None:
    """Let the checkpoint in a run's own folder wait again: other runs may be the best by now."""
    if (own / NAME).exists():
        (folder / ENDS).mkdir(exist_ok=True)
        (own / NAME).replace(folder / ENDS / waiting(run))
