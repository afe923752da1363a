"""What a sweep shows at its end, and its plan before it begins."""

import shlex
import sys
from collections.abc import Sequence

import polars as pl
from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from descend.errors import ConfigurationError, Untraceable
from descend.menu.compose import compose
from descend.output.report.compared import comparisons
from descend.output.report.comparison import Comparison
from descend.output.report.curves import bands_of
from descend.output.report.html import NAME, write_report
from descend.output.report.naming import called, short_names
from descend.output.report.origin import origin_of
from descend.output.report.printed import printable, terminal
from descend.output.report.ranking import ranked_runs
from descend.output.report.runs import Runs
from descend.output.report.sources import column_of
from descend.sweeps.batch import bytes_of_one, device_of
from descend.sweeps.job import Group
from descend.sweeps.pages import MOST_RUNS, clear_pages, write_overview, write_pages
from descend.sweeps.paths import sweep_paths
from descend.sweeps.picture_process import PictureProcess
from descend.sweeps.plan import Plan
from descend.sweeps.settings import Settings
from descend.sweeps.store import Store

WHY_STACKED = (
    "the runs of a row are one program. Four networks together take 0.30 to\n"
    "0.64 of the time of one after the other, small functions less still\n"
    "(docs/choose/stacking.md)"
)


def show_plan(plan: Plan, settings: Settings) -> None:
    """Print the groups, what is chosen in each, how many programs they take in which memory, and why any are serial."""
    title = f"{counted(len(plan.jobs), 'run')} in {counted(len(plan.groups), 'program')}"
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title_justify="left")
    first = plan.jobs[0].swept
    chosen = [key for key in first if len({group.jobs[0].swept[key] for group in plan.groups}) > 1]
    for column in ("runs", *(["choices"] if chosen else []), "steps", "stacked over", "memory of one", "how"):
        table.add_column(column, overflow="fold")
    for group in track(plan.groups, "tracing", console=Console(stderr=True), transient=True):
        over = list(short_names([".".join(map(str, leaf)) for leaf in group.numbers]).values())
        seeds = ["seed"] if len(set(group.seeds)) > 1 else []
        choices = called({key: group.jobs[0].swept[key] for key in chosen})
        table.add_row(
            f"{len(group.jobs):,}",
            *([choices] if chosen else []),
            f"{group.template.steps:,}",
            ", ".join(over + seeds),
            *way_of(group, settings),
        )
    terminal().print(table)
    if any(row.startswith("stacked") for row in table.columns[-1].cells if isinstance(row, str)):
        print(f"stacked: {WHY_STACKED}")


def counted(count: int, name: str) -> str:
    """Return how many there are of something."""
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def way_of(group: Group, settings: Settings) -> tuple[str, str]:
    """Return the memory that a run of a group takes, and how its runs will go."""
    if group.serial is not None:
        return "", f"one by one: {group.serial}"
    try:
        one = bytes_of_one(group)
    except Untraceable as error:
        return "", f"one by one: {error!s}"
    programs = -(-len(group.jobs) // max(1, settings.budget(device_of(group)) // one))
    return f"{one / 2**20:,.3g} MiB", "stacked" if programs == 1 else f"stacked, {programs:,} one after the other"


def report(plan: Plan, settings: Settings, store: Store, table: pl.DataFrame, drawer: PictureProcess) -> None:
    """Leave the kept runs' folders, the HParams page and the pictures; print the best settings and the next command.

    Args:
        drawer: draws the picture.
    """
    if not len(table):
        return
    kept = settings.kept(len(plan.jobs) + plan.more)
    swept = [column_of(key) for key in plan.jobs[0].swept]
    runs = Runs.of(table, swept, store.curves())
    found = comparisons_by(runs, settings.rank)
    bands = bands_of(found, runs.curves)
    ranked = ranked_runs(runs.by_objective(), settings.rank)
    drawer.draw(ranked, runs.swept, bands)
    shown = False
    if kept:
        order = ranked["run"].to_list()
        shown = write_pages(plan.jobs, kept, store, order, lambda job: compose(job.overrides, True, plan.source))
    else:
        clear_pages(plan.jobs, store.folder)
    if shown:
        write_overview(plan.jobs, store.folder, table, found, bands)
    picture = drawer.picture()
    if picture is not None:
        (store.folder / "sweep.png").write_bytes(picture)
    paths = sweep_paths(plan.groups, store)
    if paths is not None:
        (store.folder / "paths.png").write_bytes(paths)
    show_comparisons(table, found)
    if settings.halving is not None:
        show_saved(plan, table)
    write_report(store.folder / NAME, runs, found, bands, [origin_of(store.folder)], [store.folder])
    if not shown:
        print(f"kept in {store.folder}: {NAME}, sweep.parquet with a row for each run, curves/ with their curves")
        return
    if kept > MOST_RUNS:
        print(f"TensorBoard selects none of more than {MOST_RUNS} runs: select there which to see, or sweep.keep=best")
    elif len(table) > MOST_RUNS:
        print(f"TensorBoard shows the best {MOST_RUNS} runs; {NAME} and sweep.parquet have all {len(table):,}")
    print(f"kept in {store.folder}; look at {NAME} there")
    print(f"see it: descend board {shlex.quote(str(store.folder))}")


def comparisons_by(runs: Runs, rank: str | None) -> list[Comparison]:
    """Compare by a measure; by the default where no run has it, for the sweep is done by now."""
    try:
        return comparisons(runs, rank)
    except ConfigurationError as error:
        print(f"descend: sweep.{error} They are ranked by the default.", file=sys.stderr)
        return comparisons(runs)


def show_saved(plan: Plan, table: pl.DataFrame) -> None:
    """Print how many steps were made of those that the runs would have made without rungs."""
    steps = {job.index: group.template.steps for group in plan.groups for job in group.jobs}
    made, whole = table["steps"].sum(), sum(steps[run] for run in table["run"])
    print(f"{made:,} of {whole:,} steps were made: {1 - made / whole:.0%} were saved")


def show_comparisons(table: pl.DataFrame, found: Sequence[Comparison]) -> None:
    """Print how many runs ended how, and the comparison of their settings for each objective."""
    ends = ", ".join(f"{n:,} {status}" for status, n in table["status"].value_counts(sort=True).iter_rows())
    print(f"{counted(len(table), 'run')}: {ends}")
    console = terminal()
    for comparison in found:
        console.print(printable(comparison, console.width))
