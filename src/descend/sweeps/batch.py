"""A group of jobs run as stacks, each run ending by its own rule."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from descend.engine.backends.choose import Recording, choose, record, wide
from descend.engine.check import check_start
from descend.engine.curves import Curves
from descend.engine.gather import host
from descend.engine.loop import Loop
from descend.engine.placement import cpu_threads
from descend.engine.results import results
from descend.engine.streams import begin
from descend.errors import Untraceable
from descend.sweeps.job import Chunk, Group


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
        assert self.recording.program is not None  # else it was not prepared
        return self.recording.program.bytes


def run_group(
    group: Group, memory: int, stride: int = 1, progress: Callable[[int], None] = lambda steps: None
) -> Iterator[Chunk]:
    """Run a group's jobs in as few stacks as `memory` allows, yielding each as it is complete.

    Args:
        memory: bytes that the runs of one stack may take together.
        stride: every how many steps a run's losses and due metrics are recorded.
        progress: told how many steps were made, over all runs, as they are made.

    Raises:
        Untraceable: the step cannot be recorded; the group must be run serially.
        MemoryError: a single run takes more than `memory`.
    """
    prepared = prepare(group)
    fitting = memory // prepared.bytes
    if not fitting:
        raise MemoryError(f"one run takes up to {prepared.bytes:,} bytes, more than the {memory:,} allowed")
    for at in range(0, len(group.jobs), fitting):
        places = range(at, min(at + fitting, len(group.jobs)))
        yield run_chunk(prepared, group.part(places), stride, progress)


def bytes_of_one(group: Group) -> int:
    """Return the most memory that one run of a group may take.

    Raises:
        Untraceable: the step cannot be recorded.
    """
    return prepare(group).bytes


def prepare(group: Group) -> Prepared:
    """Record the step that a group's runs share.

    Raises:
        Untraceable: it cannot be recorded.
    """
    own = len({(seed, id(objective)) for seed, objective in zip(group.seeds, group.objectives, strict=True)}) > 1
    first = begin(group.template, group.seeds[:1], group.objectives[:1], own)
    params = {name: x[0] for name, x in first.params.items()}
    with cpu_threads(first.threads):
        names = check_start(first.experiment, params)
        recording = record(first.experiment, names, params, first.streams.example(), own)
    if recording.program is None:
        raise Untraceable(recording.reason or "")
    return Prepared(recording, own)


def device_of(group: Group) -> torch.device:
    """Return the device a group's runs will be on."""
    template = group.template
    _, params, _ = template.placed(group.objectives[0].init(template.generator()))
    return next(iter(params.values())).device


def run_chunk(prepared: Prepared, group: Group, stride: int, progress: Callable[[int], None]) -> Chunk:
    """Run the jobs of a group as one stack from start to end."""
    beginning = begin(group.template, group.seeds, group.objectives, prepared.own_batches)
    recording, runs = prepared.recording, len(group.jobs)
    assert recording.program is not None
    device = next(iter(beginning.params.values())).device
    own = recording.program.numbers
    numbers = [wide(group.numbers.get(leaf, [float(x)] * runs), device) for leaf, x in own.items()]
    with cpu_threads(beginning.threads):
        backend = choose(recording, numbers, beginning.params, stride, torch.get_num_threads())
    loop = Loop(recording.experiment, backend, beginning.streams, runs, beginning.threads, stride, progress)
    curves = Curves()
    for rows in loop:
        for name, column in rows.columns.items():
            curves.add(name, column.steps, rows.runs, column.values)
    final = loop.finish()
    found = results(loop, final, group.seeds)
    curves.ends = {"value": host(final.total)}
    if len(recording.names) > 1:
        curves.ends |= {f"loss/{name}": host(final.losses)[:, i] for i, name in enumerate(recording.names)}
    curves.ends |= {name: host(x) for name, x in final.observed.items() if x.dim() == 1}
    index = np.array([job.index for job in group.jobs])
    return Chunk(group.jobs, found, curves.frame(loop.endings.stops, index))
