"""What a sweep leaves for TensorBoard: folders of the best runs, and a row of the HParams page for every run."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from descend.records import Column, Records
from descend.sweeps.job import Job, columns
from descend.sweeps.store import Store, folder_name
from descend.telemetry import hparams
from descend.telemetry.tensorboard import EventFile, TensorBoard
from descend.training.result import Result

SUMMARY = "summary"
"""The folder in which runs without a folder of their own tell of their end."""

# A page of more rows than this takes TensorBoard minutes to load; sweep.parquet has them all.
MOST_ROWS = 10_000
# The page compares a few metrics; more than this are columns that nobody reads.
MOST_METRICS = 5


def write_pages(jobs: Sequence[Job], kept: int, store: Store, table: pl.DataFrame) -> None:
    """Write anew all that TensorBoard shows of a sweep.

    Each of the `kept` runs with the lowest values gets a folder with result.json, records.parquet and an event file;
    every other run, up to `MOST_ROWS` in all, an event file with its settings and its end in `SUMMARY`.
    """
    clear(jobs, store.folder)
    swept, results = columns(jobs), store.results()
    ranked = table.sort("value", nulls_last=True)["run"].to_list()[: max(kept, MOST_ROWS)]
    curves = store.curves().filter(pl.col("run").is_in(ranked[:kept])).collect().partition_by("run", as_dict=True)
    for place, run in enumerate(ranked):
        folder = store.folder / ("" if place < kept else SUMMARY) / folder_name(jobs[run])
        folder.mkdir(parents=True)
        records = curves.get((run,), pl.DataFrame()) if place < kept else None
        write_run(folder, {key: values[run] for key, values in swept.items()}, restored(results[run]), records)
    metrics = [f"result/{name.removeprefix('metrics.')}" for name in table.columns if name.startswith("metrics.")]
    file = EventFile(store.folder)
    described = hparams.experiment(swept, ["result/value", "result/best_value", *metrics][:MOST_METRICS])
    file.add(Event(summary=Summary(value=[described])))
    file.close()


def clear(jobs: Sequence[Job], folder: Path) -> None:
    """Remove what an earlier end of the same sweep left: other runs may be the best by now."""
    names = {folder_name(job) for job in jobs} | {SUMMARY}
    for path in list(folder.iterdir()):
        if path.name in names:
            shutil.rmtree(path)
    for path in folder.glob("events.out.tfevents.*"):
        path.unlink()


def write_run(folder: Path, settings: dict[str, Any], result: Result, records: pl.DataFrame | None) -> None:
    """Write a run's settings and end as an event file; where it is kept, also its records and its result."""
    board = TensorBoard(folder, settings)
    if records is not None:
        records.write_parquet(folder / "records.parquet")
        board.write(Records(scalars=by_name(records)))
        result.write(folder)
    board.close(result)


def by_name(records: pl.DataFrame) -> dict[str, Column]:
    """Return one run's records in long form as columns."""
    if not len(records):
        return {}
    parts = records.sort("step").partition_by("name", as_dict=True)
    return {name: Column(part["step"].to_numpy(), part["value"].to_numpy()) for (name,), part in parts.items()}


def restored(fields: dict[str, Any]) -> Result:
    """Return a result from the fields of its JSON; what was not finite is NaN again."""
    numbers = {name: float("nan") for name in ("value", "best_value", "gradient_norm") if fields[name] is None}
    named = {
        part: {name: float("nan") if x is None else x for name, x in fields[part].items()}
        for part in ("metrics", "values")
    }
    return Result(**(fields | numbers | named))
