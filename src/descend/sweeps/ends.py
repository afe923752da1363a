"""Where the best runs of a sweep ended, as checkpoints: a kept run's folder gets its own, as if it had run alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
from polars import selectors

from descend.atomic import clear_temporaries, sync_names, whole_content
from descend.engine.checkpoint import NAME, put
from descend.engine.loop import Loop
from descend.engine.program import Final
from descend.engine.result import Result
from descend.engine.results import content
from descend.output.report.ranking import ranked_runs
from descend.output.report.runs import OBJECTIVE, Runs
from descend.output.report.sources import flattened
from descend.sweeps.job import Job

ENDS = "ends"
"""The folder, in that of a sweep, where checkpoints wait until it is known which runs are kept."""


NUMBERS = ("status", "value", "best_value", "gradient_norm", "seconds", "steps", "losses", "metrics", "values")
"""The fields of a result by which runs may be ranked."""


class Ends:
    """Keeps the checkpoints of the runs that may still be among the best of a sweep.

    The checkpoints of a chunk are written before its rows enter the index, so that a kill loses none.

    Args:
        folder: the folder of the sweep.
        most: the number of runs that are kept in the end.
        rank: the measure that they are ranked by; see `measures_of`.
        table: the rows of the complete runs in the sweep's table.
    """

    def __init__(self, folder: Path, most: int, rank: str | None, table: pl.DataFrame) -> None:
        self._folder, self._most, self._rank = folder / ENDS, most, rank
        self._known = table.select(x for x in table.columns if x.partition(".")[0] in ("run", OBJECTIVE, *NUMBERS))
        self._best = self._ranked()

    def _ranked(self) -> set[int]:
        """Return the best of the known runs."""
        if not self._most or not len(self._known):
            return set()
        swept = [OBJECTIVE] if OBJECTIVE in self._known.columns else []
        tables = Runs.of(self._known, swept, pl.LazyFrame()).by_objective()
        return set(ranked_runs(tables, self._rank)["run"].head(self._most))

    def add(self, jobs: Sequence[Job], results: Sequence[Result], loop: Loop, final: Final) -> None:
        """Write the checkpoints of a chunk's runs that are now among the best, and remove those that are not."""
        place = {job.index: i for i, job in enumerate(jobs)}
        self._known = pl.concat([self._known, ends_of(jobs, results)], how="diagonal_relaxed")
        before, self._best = self._best, self._ranked()
        fresh = sorted(self._best & place.keys())
        if fresh:
            self._folder.mkdir(exist_ok=True)
            state = loop.resumable()
        for run in fresh:
            with whole_content(self._folder / waiting(run)) as file:
                put(content(loop, state, final.standing, place[run]), file)
        if fresh:
            sync_names(self._folder)
        for run in before - self._best:
            (self._folder / waiting(run)).unlink(missing_ok=True)


def ends_of(jobs: Sequence[Job], results: Sequence[Result]) -> pl.DataFrame:
    """Return a row for each run: its objective, and the numbers by which it may be ranked."""
    rows = [
        {
            "run": job.index,
            **{key: text for key, text in job.swept.items() if key == OBJECTIVE},
            **flattened({name: vars(result)[name] for name in NUMBERS}),
        }
        for job, result in zip(jobs, results, strict=True)
    ]
    number = selectors.float()
    return pl.DataFrame(rows, infer_schema_length=None).with_columns(pl.when(number.is_finite()).then(number))


def waiting(run: int) -> str:
    """Return the file name of a run's waiting checkpoint."""
    return f"{run:07}.pt"


def hand_out(folder: Path, folders: Mapping[int, Path]) -> None:
    """Move the waiting checkpoints of a sweep into the folders of their runs, and remove the others."""
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
    """Move the checkpoint in a run's own folder back to those that wait: other runs may now be better."""
    if (own / NAME).exists():
        (folder / ENDS).mkdir(exist_ok=True)
        (own / NAME).replace(folder / ENDS / waiting(run))
