"""A sweep from its plan to its report."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from descend.engine.signals import stop_requests
from descend.errors import ConfigurationError, Untraceable
from descend.memory import return_freed
from descend.sweeps.batch import all_failed, device_of, run_group, run_serially
from descend.sweeps.checkpoints import Checkpoints
from descend.sweeps.ends import Ends
from descend.sweeps.halving import Rung
from descend.sweeps.hidden import check_fields_alone
from descend.sweeps.job import Chunk, Group, Job
from descend.sweeps.picture_process import PictureProcess
from descend.sweeps.plan import Plan, built
from descend.sweeps.progress import SweepBar
from descend.sweeps.report import report
from descend.sweeps.settings import Settings
from descend.sweeps.store import CHECKPOINTS, ChunkFiles, Store

CarryOut = Callable[[Plan, Settings, Store], int]
"""Runs what a store lacks of a plan; returns the number of the signal that stopped it, 0 where none did."""


def conduct(
    plan: Plan,
    settings: Settings,
    folder: Path,
    carry: CarryOut | None = None,
    at_start: Callable[[], None] = lambda: None,
) -> int:
    """Carry out a plan, keep its results in `folder` and report; return the exit code.

    0 when every run ended by itself, 1 when one failed, 130 or 143 when SIGINT or SIGTERM stopped the sweep.

    Args:
        carry: runs what the store lacks; None does so in this process.
        at_start: called once the folder is this sweep's alone.
    """
    with Store(folder, plan.jobs, named(plan.jobs, settings)) as store, PictureProcess() as drawer:
        at_start()
        stopped = (carry or carry_out)(plan, settings, store)
        table = store.table()
        report(plan, settings, store, table, drawer)
    return exit_code(plan, table, folder, stopped)


def named(jobs: Sequence[Job], settings: Settings) -> list[list[str]]:
    """Return for each job what tells the sweep from another: its overrides, and how runs are stopped."""
    made = [list(job.overrides) for job in jobs]
    made[0] += [] if settings.halving is None else settings.halving.named(settings.rank)
    return made


def exit_code(plan: Plan, table: pl.DataFrame, folder: Path, stopped: int) -> int:
    """Tell of a sweep that is stopped, and of its runs that failed; return the exit code.

    Args:
        stopped: the number of the signal that stopped it; 0 if none did.
    """
    if stopped:
        print(
            f"The sweep was stopped with {len(table)} of {len(plan.jobs)} runs done; finish it with the same command "
            f"and sweep.resume={folder}",
            file=sys.stderr,
        )
        return 128 + stopped
    failed = table.filter(pl.col("status") == "failed") if len(table) else table
    for run, reason in failed.select("run", "reason").iter_rows() if len(failed) else ():
        print(f"descend: run {run} failed: {reason} ({' '.join(plan.jobs[run].overrides)})", file=sys.stderr)
    return 1 if len(failed) else 0


def carry_out(plan: Plan, settings: Settings, store: Store | ChunkFiles) -> int:
    """Run what a store lacks of a plan, keeping each chunk as it is complete.

    Returns:
        The number of the signal that stopped it, after the chunk that was being made left a checkpoint; 0 if none did.
    """
    halving = settings.halving
    steps = sum(group.template.steps * len(group.jobs) for group in plan.groups)
    bar = SweepBar(steps if halving is None else round(steps * halving.share(plan.own)))
    with stop_requests() as asked:
        ends = Ends(store.folder, settings.kept(len(plan.jobs) + plan.more), settings.rank, store.complete())
        checkpoints = Checkpoints(store.folder / CHECKPOINTS, settings.every, asked, ends)
        try:
            made = chunks(plan, settings, store.done(), bar, checkpoints)
            if halving is not None and isinstance(store, Store):

                def advance(done: set[int], rungs: tuple[Rung, ...]) -> Iterator[Chunk]:
                    return chunks(plan, settings, done, bar, replace(checkpoints, rungs=rungs))

                made = halving.carried_out(plan.own, plan.jobs, settings.rank, store, advance)
            for chunk in made:
                store.add(chunk)
                if settings.fail_fast and any(result.status == "failed" for result in chunk.results):
                    break
        except KeyboardInterrupt:
            return asked.number or signal.SIGINT
        finally:
            bar.close()
            return_freed()
    if isinstance(store, Store) and len(store.done()) == len(plan.jobs):
        checkpoints.clear()
    return 0


def chunks(plan: Plan, settings: Settings, done: set[int], bar: SweepBar, checkpoints: Checkpoints) -> Iterator[Chunk]:
    """Yield the chunks of a plan, the runs already done left out."""
    places = [[i for i, job in enumerate(group.jobs) if job.index not in done] for group in plan.groups]
    parts = [group.part(left) for group, left in zip(plan.groups, places, strict=True) if left]
    alone: dict[str, int] = {}
    for group in parts:
        if group.serial is not None:
            alone[group.serial] = alone.get(group.serial, 0) + len(group.jobs)
    for group in parts:
        yield from group_chunks(group, plan, settings, bar, checkpoints, alone)


def left(group: Group, done: set[int]) -> Group:
    """Return the part of a group whose jobs are not among those done: chunks need not come in the jobs' order."""
    return group.part([place for place, job in enumerate(group.jobs) if job.index not in done])


def group_chunks(
    group: Group, plan: Plan, settings: Settings, bar: SweepBar, checkpoints: Checkpoints, alone: dict[str, int]
) -> Iterator[Chunk]:
    """Yield a group's chunks: stacked where that can be, serially and saying so where not.

    Args:
        alone: how many runs of the whole plan are known to go by themselves, by the reason; 0 once that was said.
    """
    build = partial(built, source=plan.source)
    if group.serial is None:
        done: set[int] = set()
        try:
            check_fields_alone(group, build)
            memory = settings.budget(device_of(group), plan.processes)
            for chunk in run_group(group, memory, plan.stride, bar.advance, checkpoints):
                done |= {job.index for job in chunk.jobs}
                yield chunk
            return
        except Untraceable as error:
            group = replace(left(group, done), serial=str(error))
        except ConfigurationError:
            raise
        except Exception as error:  # a mistake in one group must not cost the others
            yield all_failed(left(group, done).jobs, error)
            return
    reason = group.serial or ""
    count = alone.get(reason, len(group.jobs))
    alone[reason] = 0
    if count:
        print(f"descend: {count} run{'s go' if count > 1 else ' goes'} one after the other: {reason}.", file=sys.stderr)
    yield from run_serially(group, build, bar.advance, checkpoints)
