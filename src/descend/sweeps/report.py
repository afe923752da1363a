"""What a sweep shows at its end, and its plan before it begins."""

import shlex
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.table import Table

from descend.records import Column, Records
from descend.sweeps.job import Job
from descend.sweeps.picture import sweep_picture
from descend.sweeps.settings import Settings
from descend.sweeps.store import Store, folder_name
from descend.telemetry import hparams
from descend.telemetry.tensorboard import EventFile, TensorBoard
from descend.training.result import Result

if TYPE_CHECKING:
    from descend.sweeps.conduct import Plan

BEST = 10


def show_plan(plan: "Plan", settings: Settings) -> None:
    """Print the groups, how many runs each has, and why any of them are serial."""
    table = Table(title=f"{len(plan.jobs):,} runs in {len(plan.groups)} programs")
    for column in ("runs", "objective", "optimizer", "steps", "stacked over", "how"):
        table.add_column(column)
    for group in plan.groups:
        template = group.template
        over = ", ".join(".".join(map(str, leaf)) for leaf in group.numbers) or (
            "seed" if len(set(group.seeds)) > 1 else ""
        )
        names = type(template.objective).__name__, type(template.optimizer).__name__
        how = "stacked" if group.serial is None else f"one by one: {group.serial}"
        table.add_row(f"{len(group.jobs):,}", *names, f"{template.steps:,}", over, how)
    Console(width=None if Console().is_terminal else 160).print(table)


def report(plan: "Plan", settings: Settings, store: Store, table: pl.DataFrame) -> None:
    """Leave the kept runs' folders, the HParams page and the picture; print the best settings and the next command."""
    if not len(table):
        return
    keep_folders(plan.jobs, settings.kept(len(plan.jobs)), store, table)
    hparams_page(plan.jobs, store)
    picture = sweep_picture(table, list(plan.jobs[0].swept))
    if picture is not None:
        (store.folder / "sweep.png").write_bytes(picture)
    Console(width=None if Console().is_terminal else 160).print(best_table(plan, table))
    print(f"kept in {store.folder}\nsee it: tensorboard --logdir {shlex.quote(str(store.folder))}")


def best_table(plan: "Plan", table: pl.DataFrame) -> Table:
    """Return the runs with the lowest values, best first."""
    swept = list(plan.jobs[0].swept)
    shown = Table(
        title=f"{len(table):,} runs: {', '.join(f'{n} {s}' for s, n in table['status'].value_counts().iter_rows())}"
    )
    metrics = [name for name in table.columns if name.startswith("metrics.")]
    for name in ["run", *swept, "value", *metrics, "status", "steps"]:
        shown.add_column(name.removeprefix("metrics."))
    for row in table.sort("value", nulls_last=True).head(BEST).iter_rows(named=True):
        numbers = [f"{row[name]:.6g}" if row[name] is not None else "-" for name in ["value", *metrics]]
        shown.add_row(
            str(row["run"]), *[str(row[name]) for name in swept], *numbers, row["status"], f"{row['steps']:,}"
        )
    return shown


def keep_folders(jobs: list[Job], count: int, store: Store, table: pl.DataFrame) -> None:
    """Leave a folder with result.json, records.parquet and an event file for each of the `count` best runs."""
    best = table.sort("value", nulls_last=True).head(count)["run"].to_list()
    curves = store.curves().filter(pl.col("run").is_in(best)).collect().partition_by("run", as_dict=True)
    results = store.results()
    for run in best:
        folder = store.folder / folder_name(jobs[run])
        folder.mkdir(exist_ok=True)
        records = curves.get((run,), pl.DataFrame())
        columns = (
            {
                name: Column(part["step"].to_numpy(), part["value"].to_numpy())
                for (name,), part in records.sort("step").partition_by("name", as_dict=True).items()
            }
            if len(records)
            else {}
        )
        records.write_parquet(folder / "records.parquet")
        board = TensorBoard(folder, dict(jobs[run].swept))
        board.write(Records(scalars=columns))
        result = restored(results[run])
        board.close(result)
        result.write(folder)


def restored(fields: dict) -> Result:
    """Return a result from the fields of its JSON; what was not finite is NaN again."""
    numbers = {name: float("nan") for name in ("value", "best_value", "gradient_norm") if fields[name] is None}
    return Result(**(fields | numbers))


def hparams_page(jobs: list[Job], store: Store) -> None:
    """Describe the sweep to TensorBoard's HParams page once, at its root; each kept run tells of itself."""
    values = {key: [job.swept[key] for job in jobs] for key in jobs[0].swept}
    file = EventFile(store.folder)
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    file.add(Event(summary=Summary(value=[hparams.experiment(values, ["result/value", "result/best_value"])])))
    file.close()
