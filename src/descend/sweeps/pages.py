"""The files of a sweep for TensorBoard: folders of the best runs, and a row of the HParams page for every run."""

import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from omegaconf import DictConfig
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from descend.engine.result import Result
from descend.menu.build import trackers
from descend.menu.compose import about, overrides_of, write_hydra
from descend.output.report.comparison import Comparison
from descend.output.report.summary import RAW, Measure, compared_column, loss_columns, several_losses
from descend.output.sinks import hparams
from descend.output.sinks.bands import band_events
from descend.output.sinks.comparison_text import compared
from descend.output.sinks.event_file import EventFile
from descend.output.sinks.parquet import Parquet
from descend.output.sinks.tensorboard import TensorBoard
from descend.output.sinks.trackers import Tracker, open_sinks
from descend.records import Column, Records
from descend.sweeps.ends import hand_out, take_back
from descend.sweeps.job import Job, swept_columns
from descend.sweeps.store import Store, folder_name

SUMMARY = "summary"
"""The folder in which runs without a folder of their own tell of their end."""

# Of more than 500 runs TensorBoard selects none, and all its pages begin empty; one of them is the sweep's own folder.
MOST_RUNS = 499


def write_pages(
    jobs: Sequence[Job], kept: int, store: Store, order: Sequence[int], composed: Callable[[Job], DictConfig]
) -> bool:
    """Write again all that TensorBoard shows of the runs of a sweep, and return whether it shows anything.

    Each of the `kept` best runs gets a folder with result.json, what its trackers leave (records.parquet, an event
    file), its checkpoint and the configuration that gives the same run alone; every other run that TensorBoard tracks,
    up to `MOST_RUNS` in all, an event file with its settings and its end in `SUMMARY`. A folder whose run was made
    longer since is left as it is.

    Args:
        order: the runs, the best first.
        composed: returns a job's configuration, the node `hydra` included.
    """
    clear_pages(jobs, store.folder)
    tracked = Tracked(composed)
    swept, results = swept_columns(jobs), store.results()
    settings = [{key: values[i] for key, values in swept.items()} for i in range(len(jobs))]
    best, rest = order[:kept], order[kept:MOST_RUNS]
    curves = store.curves().filter(pl.col("run").is_in(best)).sort("run", "name", "step").collect()
    own = curves.partition_by("run", as_dict=True)
    folders = {run: store.folder / folder_name(jobs[run]) for run in best}
    for run, folder in folders.items():
        if not folder.exists():
            write_hydra(composed(jobs[run]), jobs[run].overrides, new_folder(folder))
            records = own.get((run,), curves.clear())
            write_run(folder, settings[run], restored(results[run]), records, tracked.by(jobs[run]))
    hand_out(store.folder, folders)
    if not any(tracked.shown(jobs[run]) for run in (*best, *rest)):
        return False
    for run in filter(lambda run: tracked.shown(jobs[run]), rest):
        folder = new_folder(store.folder / SUMMARY / folder_name(jobs[run]))
        with without_notes():
            TensorBoard(folder, settings[run]).close(restored(results[run]))
    return True


def write_overview(
    jobs: Sequence[Job], folder: Path, table: pl.DataFrame, found: Sequence[Comparison], bands: pl.DataFrame
) -> None:
    """Write the event file of a sweep's own folder: what the HParams page compares, how its settings compare, and
    their curves over the seeds.

    Args:
        table: a row for each run.
        found: the comparison of each objective.
        bands: what `bands_of` returns.
    """
    file = EventFile(folder)
    described = hparams.experiment(swept_columns(jobs), ended_numbers(table, [each.measure for each in found]))
    file.add(Event(wall_time=time.time(), summary=Summary(value=[described, compared(found)])))
    for event in band_events(bands):
        file.add(event)
    file.close()


def ended_numbers(table: pl.DataFrame, measures: Sequence[Measure]) -> list[str]:
    """Return the tags of the runs' results: first those that rank the runs, then totals, losses and test metrics."""
    totals = ["result/value", "result/best_value"] if compared_column(table) == "value" else [f"result/{RAW}"]
    losses = loss_columns(table) if several_losses(table) else []
    metrics = [name for name in table.columns if name.startswith("metrics.")]
    named = [f"loss/{name.removeprefix('losses.')}" for name in losses]
    every = [*totals, *(f"result/{name}" for name in [*named, *(name.removeprefix("metrics.") for name in metrics)])]
    ranking = [f"result/{x.column.removeprefix('metrics.').replace('losses.', 'loss/')}" for x in measures]
    return list(dict.fromkeys([*(tag for tag in ranking if tag in every), *every]))


class Tracked:
    """The trackers of each run of a sweep; they are made once for all runs that choose them alike."""

    def __init__(self, composed: Callable[[Job], DictConfig]) -> None:
        self._composed = composed
        self._known: dict[tuple[str, ...], dict[str, Tracker]] = {}

    def by(self, job: Job) -> dict[str, Tracker]:
        """Return a run's trackers by name."""
        chosen = tuple(text for text in job.overrides if about(text, "tracker") or about(text, "experiment"))
        if chosen not in self._known:
            self._known[chosen] = trackers(self._composed(job))
        return self._known[chosen]

    def shown(self, job: Job) -> bool:
        """Tell whether TensorBoard is to show a run."""
        return any(made_by(tracker, TensorBoard) for tracker in self.by(job).values())


def made_by(tracker: Tracker, kind: type) -> bool:
    """Tell whether a tracker makes sinks of a class."""
    made = getattr(tracker, "func", None)
    return isinstance(made, type) and issubclass(made, kind)


def clear_pages(jobs: Sequence[Job], folder: Path) -> None:
    """Remove what an earlier end of the same sweep left: other runs may be the best by now."""
    known = {job.index: job for job in jobs}
    for path in list(folder.iterdir()):
        number = path.name.partition("-")[0]
        job = known.get(int(number)) if number.isdecimal() else None
        if job and path.name == folder_name(job) and overrides_of(path) in (None, list(job.overrides)):
            take_back(folder, job.index, path)
            shutil.rmtree(path)
    shutil.rmtree(folder / SUMMARY, ignore_errors=True)
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()


def new_folder(folder: Path) -> Path:
    """Make a folder, and return it."""
    folder.mkdir(parents=True)
    return folder


def write_run(
    folder: Path, settings: dict[str, Any], result: Result, records: pl.DataFrame, trackers: Mapping[str, Tracker]
) -> None:
    """Write what a run leaves: its records (in long form, in the order of their steps) and its result."""
    others = {name: tracker for name, tracker in trackers.items() if not made_by(tracker, Parquet)}
    if len(others) < len(trackers):
        records.write_parquet(folder / "records.parquet")  # with the number of the run
    for sink in open_sinks(others, folder, settings):
        sink.write(Records(scalars=by_name(records)))
        with without_notes():
            sink.close(result)
    result.write(folder)


@contextmanager
def without_notes() -> Iterator[None]:
    """Say nothing of numbers beyond float32: of many runs some nearly always run away, and the table shows which."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TensorBoard keeps numbers in float32")
        yield


def by_name(records: pl.DataFrame) -> dict[str, Column]:
    """Return one run's records in long form as columns."""
    names, values, steps = (records[column].to_numpy() for column in ("name", "value", "step"))
    starts = np.flatnonzero(names[1:] != names[:-1]) + 1
    parts = zip(np.split(names, starts), np.split(steps, starts), np.split(values, starts), strict=True)
    return {str(own[0]): Column(step, value) for own, step, value in parts if len(own)}


def restored(fields: dict[str, Any]) -> Result:
    """Return a result from the fields of its JSON; what was not finite is NaN again."""
    numbers = ("value", "best_value", "gradient_norm", "losses", "metrics", "values")
    some = (*numbers, "parameters") if fields["parameters"] is not None else numbers
    return Result(**(fields | {name: with_nan(fields[name]) for name in some}))


def with_nan(content: Any) -> Any:
    """Return the content of a JSON file with NaN in place of each null."""
    if isinstance(content, dict):
        return {name: with_nan(item) for name, item in content.items()}
    if isinstance(content, list):
        return [with_nan(item) for item in content]
    return float("nan") if content is None else content
