"""Jobs run as stacks, each run ending by its own rule."""

import gc
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import torch

from descend.devices import give_back, is_out_of_memory
from descend.engine.backends.choose import Recording, choose, record_experiment, wide
from descend.engine.budgeted import within_budgets
from descend.engine.check import examine_start
from descend.engine.curves import Curves
from descend.engine.experiment import Experiment
from descend.engine.loop import Loop, Rows
from descend.engine.placement import computing
from descend.engine.result import Result
from descend.engine.results import recorded_at_the_end, results
from descend.engine.streams import begin
from descend.errors import Untraceable, never_exits
from descend.records import frame
from descend.sweeps.checkpoints import Checkpoints, keep_checkpoints
from descend.sweeps.halving import Rung
from descend.sweeps.job import Chunk, Group, Job

Progress = Callable[[int], None]
"""Told how many steps were made, over all runs, as they are made."""


@dataclass(frozen=True)
class Prepared:
    """A group's experiment, recorded.

    Attributes:
        recording: what its stacks share.
        own_batches: whether each run draws batches of its own.
    """

    recording: Recording
    own_batches: bool

    @property
    def bytes(self) -> int:
        """The most memory that one run may take."""
        return 1 if self.recording.program is None else self.recording.program.bytes


def run_group(
    group: Group,
    memory: int,
    stride: int = 1,
    progress: Progress = lambda steps: None,
    checkpoints: Checkpoints | None = None,
) -> Iterator[Chunk]:
    """Run a group's jobs in as few stacks as `memory` allows, yielding each as it is complete.

    A stack that does not fit after all is made again as two of half its height, to the same bits. A single run that
    does not fit has failed.

    Args:
        memory: bytes that the runs of one stack may take together.
        stride: every how many steps a run's losses and due metrics are recorded.
        checkpoints: where chunks leave their state while they are made; chunks that were begun go on first.

    Raises:
        Untraceable: the step cannot be recorded; the group must be run serially.
        MemoryError: a single run takes more than `memory`.
    """
    prepared = prepare(group)
    if prepared.recording.program is None:
        raise Untraceable(prepared.recording.reason or "")
    fitting = memory // prepared.bytes
    if not fitting:
        raise MemoryError(f"one run takes up to {prepared.bytes:,} bytes, more than the {memory:,} allowed")
    begun = [] if checkpoints is None else checkpoints.chunks_begun(group)
    taken = {place for places in begun for place in places}
    left = [place for place in range(len(group.jobs)) if place not in taken]
    waiting = [*begun, *(left[at : at + fitting] for at in range(0, len(left), fitting))]
    while waiting:
        places = waiting.pop(0)
        chunk = group.part(places)
        found = run_fitting(prepared, chunk, stride, progress, checkpoints)
        if found is not None:
            yield found
        if checkpoints is not None and not (found and found.waits):
            checkpoints.forget(chunk)
        if found is None:
            half = -(-len(places) // 2)
            waiting = [part for tall in (places, *waiting) for part in cut(tall, half)]
            make_room(len(places), half)


def cut(places: list[int], most: int) -> list[list[int]]:
    """Return places in parts of at most this size."""
    return [places[at : at + most] for at in range(0, len(places), most)]


def make_room(tried: int, most: int) -> None:
    """Give memory back after a stack did not fit, and say how it goes on."""
    gc.collect()
    give_back()
    print(f"descend: {tried} runs at a time do not fit into memory; it goes on with {most} at a time.", file=sys.stderr)


def run_fitting(
    prepared: Prepared, chunk: Group, stride: int, progress: Progress, checkpoints: Checkpoints | None
) -> Chunk | None:
    """Run a chunk as one stack; return None, as if nothing had been done, where it does not fit into memory."""
    made = 0

    def count(steps: int) -> None:
        nonlocal made
        made += steps
        progress(steps)

    try:
        return run_chunk(prepared, chunk, stride, count, checkpoints)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        progress(-made)
        return all_failed(chunk.jobs, error) if len(chunk.jobs) == 1 else None


def run_serially(
    group: Group,
    build: Callable[[Sequence[str]], Experiment],
    progress: Progress = lambda steps: None,
    checkpoints: Checkpoints | None = None,
) -> Iterator[Chunk]:
    """Run each job of a group as a stack of one, yielding a chunk for each; one that raises yields a failed result."""
    for job in group.jobs:
        try:
            experiment = build(job.overrides)
            one = Group((job,), experiment, {}, [experiment.seed], [experiment.objective])
            found = run_chunk(prepare(one), one, 1, progress, checkpoints)
            yield found
            if checkpoints is not None and not found.waits:
                checkpoints.forget(one)
        except Exception as error:
            yield all_failed([job], error)


def bytes_of_one(group: Group) -> int:
    """Return the most memory that one run of a group may take.

    Raises:
        Untraceable: the step cannot be recorded.
    """
    prepared = prepare(group)
    if prepared.recording.program is None:
        raise Untraceable(prepared.recording.reason or "")
    return prepared.bytes


@never_exits()
def prepare(group: Group) -> Prepared:
    """Record the step that a group's runs share, where that can be done, at the first start that is finite.

    A start that is not finite is a run that diverges at once, whichever place it has; nothing can be checked there.
    """
    sources = {(seed, id(o)): (seed, o) for seed, o in zip(group.seeds, group.objectives, strict=True)}
    own = len(sources) > 1
    for i, (seed, objective) in enumerate(sources.values()):
        one = begin(group.template, [seed], [objective], own)
        start = one.origin.of_run(0)
        numbers = {name: metric for name, metric in one.experiment.metrics.items() if not metric.arrays}
        experiment = replace(one.experiment, metrics=numbers)
        experiment = within_budgets(experiment) if len(group.jobs) == 1 else experiment
        with computing(one.threads, one.streams.device):
            names, infinite = examine_start(experiment, start)
        if i == 0 or infinite is None:
            chosen = experiment, names, start, one
        if infinite is None:
            break
    experiment, names, start, one = chosen
    with computing(one.threads, one.streams.device):
        return Prepared(record_experiment(experiment, names, start, one.streams.example(), own), own)


def device_of(group: Group) -> torch.device:
    """Return the device a group's runs will be on."""
    template = group.template
    return template.device_of(group.objectives[0].init(template.generator()))


@never_exits()
def run_chunk(
    prepared: Prepared, group: Group, stride: int, progress: Progress, checkpoints: Checkpoints | None = None
) -> Chunk:
    """Run the jobs of a group as one stack from start to end, or from where its last checkpoint left them.

    Where they are to be ranked before they go on, the chunk leaves a checkpoint and tells how they stand.

    Raises:
        KeyboardInterrupt: the sweep was asked to stop; the chunk left a checkpoint.
    """
    loop, curves = begin_loop(prepared, group, stride, progress), Curves()
    if checkpoints is not None:
        keep_checkpoints(loop, curves, group, checkpoints)
    for rows in past_rungs(loop, group, () if checkpoints is None else checkpoints.rungs):
        for name, column in rows.columns.items():
            if column.values.ndim == 2:  # of many runs nobody looks at histograms
                curves.add(name, column.steps, rows.runs, column.values)
    if loop.interrupted:
        if loop.save is not None:
            loop.save(loop.resumable())
        raise KeyboardInterrupt
    if loop.waits and loop.save is not None:
        loop.save(loop.state())
        loop.stop("interrupted", f"it waits at step {loop.step}")
        return Chunk(group.jobs, results(loop, loop.finish(), group.seeds), no_curves(), waits=True)
    final = loop.finish()
    every = recorded_at_the_end(final, prepared.recording.names)
    curves.ends = {name: x for name, x in every.items() if x.ndim == 1}
    index, made = np.array([job.index for job in group.jobs]), results(loop, final, group.seeds)
    if checkpoints is not None and checkpoints.ends is not None:
        checkpoints.ends.add(group.jobs, made, loop, final)
    return Chunk(group.jobs, made, curves.frame(loop.endings.stops, index))


def past_rungs(loop: Loop, group: Group, rungs: Sequence[Rung]) -> Iterator[Rows]:
    """Yield what a loop records on its way to the first rung that is not ranked yet, or to its end.

    At those that are ranked, the runs that lost leave the stack: at the same step whenever the loop comes there.
    """
    for rung in rungs:
        loop.until = rung.step(loop.experiment.steps)
        yield from loop
        if rung.stopped is None or loop.interrupted:
            return
        lost = {place: rung.stopped[job.index] for place, job in enumerate(group.jobs) if job.index in rung.stopped}
        loop.drop({place: f"stopped after step {loop.step}: {reason}" for place, reason in lost.items()})
    loop.until = None
    yield from loop


def begin_loop(prepared: Prepared, group: Group, stride: int, progress: Progress) -> Loop:
    """Return the loop of a group's jobs, at its start."""
    beginning = begin(group.template, group.seeds, group.objectives, prepared.own_batches)
    recording, runs = prepared.recording, len(group.jobs)
    device = beginning.origin.seed.device
    own = {} if recording.program is None else recording.program.numbers
    numbers = [wide(group.numbers.get(leaf, [float(x)] * runs), device) for leaf, x in own.items()]
    with computing(beginning.threads, beginning.streams.device):
        backend = choose(recording, numbers, beginning.origin, stride, torch.get_num_threads())
    return Loop(recording.experiment, backend, beginning.streams, runs, beginning.threads, stride, progress)


def failed(error: Exception) -> Result:
    """Return the result of a job that raised."""
    reason = f"{type(error).__name__}: {error}"
    trace = "".join(traceback.format_exception(error))
    nan, inf = float("nan"), float("inf")
    found = Result("failed", reason, 0, nan, inf, {}, nan, {}, 0.0, None, {})
    return replace(found, provenance={"traceback": trace})


def all_failed(jobs: Sequence[Job], error: Exception) -> Chunk:
    """Return the chunk of jobs that failed together."""
    return Chunk(tuple(jobs), tuple(failed(error) for _ in jobs), no_curves())


def no_curves() -> pl.DataFrame:
    """Return the curves of runs that recorded nothing."""
    return pl.DataFrame(schema=frame([]).schema)
