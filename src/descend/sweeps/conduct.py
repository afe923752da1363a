"""A sweep from its overrides to its report."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from descend.engine.experiment import Experiment
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.menu.compose import compose
from descend.sweeps.aside import Aside
from descend.sweeps.batch import bytes_of_one, device_of, run_group, untraceable
from descend.sweeps.group import groups
from descend.sweeps.job import Chunk, Group, Job
from descend.sweeps.progress import SweepBar
from descend.sweeps.report import report, show_plan
from descend.sweeps.serial import all_failed, run_serially
from descend.sweeps.settings import Settings
from descend.sweeps.space import MOST_RUNS, jobs
from descend.sweeps.store import Outbox, Store

# Curves of more numbers than this are thinned to so many: they would fill memory, and no picture shows them.
MOST_NUMBERS = 20_000_000
THINNED = 4_000_000


@dataclass(frozen=True)
class Plan:
    """What a sweep will do: its jobs, in groups, and how often their curves are recorded."""

    jobs: list[Job]
    groups: list[Group]
    stride: int


Carry = Callable[[Plan, Settings, Store], bool]


def plan(overrides: Sequence[str], settings: Settings, config_loader: Any = None) -> Plan:
    """Return the plan of a multirun.

    Raises:
        ConfigurationError: anything is wrong with any run of it.
    """
    made = jobs(overrides, settings.sampling, config_loader, None if settings.yes else MOST_RUNS)
    found = groups(made, built)
    if settings.memory is not None:
        require_memory(found, settings.memory)
    numbers = sum(len(group.jobs) * (group.template.steps + 1) for group in found)
    return Plan(made, found, 1 if numbers <= MOST_NUMBERS else 8 * -(-numbers // (8 * THINNED)))


def built(overrides: Sequence[str]) -> Experiment:
    """Return the experiment of a run of its own with these overrides."""
    return build(compose(overrides), list(overrides))


def conduct(plan: Plan, settings: Settings, folder: Path, carry: Carry | None = None) -> int:
    """Carry out a plan, keep its results in `folder` and report; return the exit code.

    0 when every run ended by itself, 1 when one failed, 130 when the user stopped the sweep.

    Args:
        carry: runs what the store lacks, and tells whether the user stopped it; None does so in this process.
    """
    if settings.dry_run:
        show_plan(plan, settings)
        return 0
    with Store(folder, plan.jobs) as store, Aside() as aside:
        stopped = (carry or carry_out)(plan, settings, store)
        table = store.table()
        report(plan, settings, store, table, aside)
    if stopped:
        print(
            f"The sweep was stopped with {len(table)} of {len(plan.jobs)} runs done; finish it with the same command "
            f"and sweep.resume={folder}",
            file=sys.stderr,
        )
        return 130
    failed = table.filter(pl.col("status") == "failed") if len(table) else table
    for run, reason in failed.select("run", "reason").iter_rows() if len(failed) else ():
        print(f"descend: run {run} failed: {reason} ({' '.join(plan.jobs[run].overrides)})", file=sys.stderr)
    return 1 if len(failed) else 0


def require_memory(groups: Sequence[Group], memory: int) -> None:
    """Raise ConfigurationError where a single run of a group takes more than the memory allowed."""
    for group in groups:
        if group.serial is not None:
            continue
        try:
            one = bytes_of_one(group)
        except RuntimeError:
            continue  # its runs go one by one
        if one > memory:
            raise ConfigurationError(
                f"sweep.memory allows {memory:,} bytes, but one run ({' '.join(group.jobs[0].overrides)}) may take "
                f"{one:,}; allow more, or choose a smaller problem."
            )


def carry_out(plan: Plan, settings: Settings, store: Store | Outbox) -> bool:
    """Run what a store lacks of a plan, keeping each chunk as it is complete; return whether the user stopped it."""
    bar = SweepBar(sum(group.template.steps * len(group.jobs) for group in plan.groups))
    try:
        for chunk in chunks(plan, settings, store.done(), bar):
            store.add(chunk)
            if settings.fail_fast and any(result.status == "failed" for result in chunk.results):
                break
    except KeyboardInterrupt:
        return True
    finally:
        bar.close()
    return False


def chunks(plan: Plan, settings: Settings, done: set[int], bar: SweepBar) -> Iterator[Chunk]:
    """Yield the chunks of a plan, the runs already done left out."""
    places = [[i for i, job in enumerate(group.jobs) if job.index not in done] for group in plan.groups]
    parts = [group.part(left) for group, left in zip(plan.groups, places, strict=True) if left]
    alone = Counter[str]()
    for group in parts:
        if group.serial is not None:
            alone[group.serial] += len(group.jobs)
    said: set[str] = set()
    for group in parts:
        yield from group_chunks(group, plan.stride, settings, bar, alone, said)


def group_chunks(
    group: Group, stride: int, settings: Settings, bar: SweepBar, alone: Counter[str], said: set[str]
) -> Iterator[Chunk]:
    """Yield a group's chunks: stacked where that can be, serially and saying so where not.

    Args:
        alone: how many runs of the whole plan are known to go by themselves, by the reason.
        said: the reasons that were told; each is told once.
    """
    if group.serial is None:
        done = 0
        try:
            for chunk in run_group(group, settings.budget(device_of(group)), stride, bar.advance):
                done += len(chunk.jobs)
                yield chunk
            return
        except RuntimeError as error:
            rest = group.part(range(done, len(group.jobs)))
            group = replace(rest, serial=untraceable(error))
        except MemoryError as error:
            yield all_failed(group.jobs[done:], error)
            return
    reason = str(group.serial)
    if reason not in said:
        said.add(reason)
        count = max(alone[reason], len(group.jobs))
        runs = f"{count} runs go one after the other" if count > 1 else "a run goes by itself"
        print(f"descend: {runs}: {reason}.", file=sys.stderr)
    for chunk in run_serially(group, built):
        bar.advance(group.template.steps)
        yield chunk
