"""What a sweep shows at its end, and its plan before it begins."""

import shlex
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.table import Table

from descend.sweeps.pages import MOST_ROWS, write_pages
from descend.sweeps.picture import sweep_picture
from descend.sweeps.settings import Settings
from descend.sweeps.store import Store

if TYPE_CHECKING:
    from descend.sweeps.conduct import Plan

BEST = 10

# TensorBoard holds a file open for each run, and a shell allows 1,024 unless asked for more.
MANY_FILES = 500


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
    kept = settings.kept(len(plan.jobs))
    write_pages(plan.jobs, kept, store, table)
    picture = sweep_picture(table, list(plan.jobs[0].swept))
    if picture is not None:
        (store.folder / "sweep.png").write_bytes(picture)
    Console(width=None if Console().is_terminal else 160).print(best_table(plan, table))
    if len(table) > max(kept, MOST_ROWS):
        print(f"TensorBoard shows the best {max(kept, MOST_ROWS):,} runs; sweep.parquet has all {len(table):,}")
    more = "ulimit -n $(ulimit -Hn) && " if len(table) > MANY_FILES else ""
    print(f"kept in {store.folder}\nsee it: {more}tensorboard --logdir {shlex.quote(str(store.folder))}")


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
