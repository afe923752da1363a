"""A group of jobs run as one program, each run ending by its own rule."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from descend.engine.backends.kernel import NoCompiler
from descend.engine.block import due, often
from descend.engine.gather import columns, host
from descend.engine.loop import BLOCK_SECONDS
from descend.engine.placement import cpu_threads
from descend.sweeps.block import Pattern, Summary
from descend.sweeps.curves import Curves
from descend.sweeps.endings import Endings
from descend.sweeps.job import Chunk, Group
from descend.sweeps.program import Numbers, Program
from descend.sweeps.runs import Runs
from descend.sweeps.streams import Beginning, begin
from descend.types import Batch

# Compiling a program takes some ten seconds: it is for sweeps whose runs make this many steps together, this long each.
MANY_STEPS = 500_000_000
LONG_RUN = 20_000

# More blocks than these are not taken at once, so that taking them again, to find where a run ended, stays cheap.
MOST_BLOCKS = 120

# A kernel takes a third of a second, what torch needs for so many steps of the smallest step.
LONG_RUN_OF_A_KERNEL = 1_000


def run_group(
    group: Group, memory: int, stride: int = 1, progress: Callable[[int], None] = lambda steps: None
) -> Iterator[Chunk]:
    """Run a group's jobs in as few programs as `memory` allows, yielding each as it is complete.

    Args:
        memory: bytes that the runs of one program may take together.
        stride: every how many steps a run's losses and due metrics are recorded.
        progress: told how many steps were made, over all runs, as they are made.

    Raises:
        RuntimeError: the step cannot be traced; the group must be run serially.
        MemoryError: a single run takes more than `memory`.
    """
    program, numbers = prepare(group)
    fitting = memory // program.bytes
    if not fitting:
        raise MemoryError(f"one run takes up to {program.bytes:,} bytes, more than the {memory:,} allowed")
    for at in range(0, len(group.jobs), fitting):
        places = range(at, min(at + fitting, len(group.jobs)))
        own = {leaf: x[at : at + fitting] for leaf, x in numbers.items()}
        yield Batched(program, group.part(places), own, stride, progress).run()


def bytes_of_one(group: Group) -> int:
    """Return the most memory that one run of a group may take.

    Raises:
        RuntimeError: the step cannot be traced.
    """
    return prepare(group)[0].bytes


def untraceable(error: RuntimeError) -> str:
    """Return why runs go one by one whose step raised this when it was traced."""
    return f"its step cannot be traced: {str(error).splitlines()[0]}"


def prepare(group: Group) -> tuple[Program, Numbers]:
    """Return the step that a group's runs share, and the numbers that differ.

    Raises:
        RuntimeError: the step cannot be traced.
    """
    whole = begin(group.part([0]))
    numbers = stack_numbers(group, whole)
    own = len({(seed, id(objective)) for seed, objective in zip(group.seeds, group.objectives, strict=True)}) > 1
    one = {leaf: x[0] for leaf, x in numbers.items()}
    params = {name: x[0] for name, x in whole.params.items()}
    program = Program(whole.experiment, one, params, whole.streams.example(), own)
    return program, numbers


def device_of(group: Group) -> torch.device:
    """Return the device a group's runs will be on."""
    template = group.template
    _, params, _ = template.placed(group.objectives[0].init(template.generator()))
    return next(iter(params.values())).device


def stack_numbers(group: Group, beginning: Beginning) -> Numbers:
    """Return the numbers that differ as tensors [runs], in float64 as Python has them."""
    device = next(iter(beginning.params.values())).device
    return {leaf: torch.tensor(x, dtype=torch.float64, device=device) for leaf, x in group.numbers.items()}


class Batched:
    """The runs of one program from start to end.

    Args:
        program: their step.
        group: their jobs.
        numbers: the numbers that differ, each [runs].
        stride, progress: see `run_group`.
    """

    def __init__(
        self, program: Program, group: Group, numbers: Numbers, stride: int, progress: Callable[[int], None]
    ) -> None:
        beginning = begin(group)
        self._experiment, self._group, self._stride, self._progress = program.experiment, group, stride, progress
        self._numbers, self._threads = numbers, beginning.threads
        self._runs = self._stack(program, numbers, beginning)
        self._period = math.lcm(stride, *(metric.every for metric in self._experiment.metrics.values()))
        self._patterns: dict[tuple[int, int], Pattern] = {}
        self._endings = Endings(self._experiment, program, len(group.jobs), self._runs.compiled)
        self._curves, self._draws = Curves(), program.draws
        self._at = np.arange(len(group.jobs))  # which run stands at each place of the stack
        self._step = 0

    def _stack(self, program: Program, numbers: Numbers, beginning: Beginning) -> Runs:
        """Return the runs at their start, compiled where the experiment says so or where that wins."""
        own, total = self._experiment.compile, self._experiment.steps * len(self._group.jobs)
        pays = program.small and self._experiment.steps >= LONG_RUN_OF_A_KERNEL
        pays |= self._experiment.steps >= LONG_RUN and total >= MANY_STEPS
        start = partial(Runs, program, numbers, beginning.params, beginning.streams)
        if not (pays if own == "auto" else own):
            return start()
        try:
            return start(True, torch.get_num_threads(), often(self._experiment, self._stride))
        except NoCompiler:
            if own == "auto":
                return start()
            raise

    def run(self) -> Chunk:
        """Make every step, and return what the runs left."""
        with cpu_threads(self._threads):
            began = time.perf_counter()
            self._advance()
            seconds = time.perf_counter() - began
            return self._endings.chunk(self._group, self._numbers, self._curves, seconds, self._threads)

    def _advance(self) -> None:
        began, unit, blocks = time.perf_counter(), self._runs.together, 1
        while self._at.size and self._step < self._experiment.steps:
            start = time.perf_counter()
            self._take(min(blocks * unit, self._experiment.steps - self._step))
            took = time.perf_counter() - start
            blocks = max(1, min(MOST_BLOCKS, int(blocks * min(2.0, BLOCK_SECONDS / took))))
            limit = self._experiment.stop.seconds
            if limit is not None and time.perf_counter() - began >= limit:
                self._endings.out_of_time(self._at, self._step, limit)
                break
        if self._at.size:
            self._endings.keep(self._at, self._step, self._runs.columns(self._places(self._at)))

    def _take(self, size: int) -> None:
        """Make `size` steps; where runs end inside them, take them again to find where."""
        batches = [self._runs.streams.draw() for _ in range(size)] if self._draws else [None] * size
        before, step, pattern = self._runs.carry, self._step, self._pattern(self._step, size)
        summaries = self._runs.advance(batches, pattern)
        self._record(summaries, [kept for kept, _ in pattern], step)
        self._step += size
        self._progress(size * len(self._at))
        ended = self._endings.suspects(self._at, summaries)
        if ended.any():
            after = self._runs.carry
            self._find_ends(np.flatnonzero(ended), before, step, batches)
            self._runs.carry = after
            self._drop_ended()

    def _record(self, summaries: Sequence[Summary], kept: Sequence[bool], step: int) -> None:
        """Keep what the blocks from `step` on recorded of each run; block by block."""
        steps = np.flatnonzero(kept) + step
        for summary in summaries:
            now, steps = np.split(steps, [len(summary.totals)])
            if now.size:
                self._curves.add("value", now, self._at, summary.totals.cpu().numpy())
            losses = () if summary.losses is None else summary.losses.unbind(2)
            for name, loss in zip(self._endings.names, losses, strict=False):
                self._curves.add(f"loss/{name}", now, self._at, loss.cpu().numpy())
        observed = {at: found for summary in summaries for at, found in summary.observed.items()}
        for name, (at, values) in columns(observed, step).items():
            self._curves.add(name, at, self._at, values)

    def _pattern(self, step: int, size: int) -> Pattern:
        """Return for each step of a block whether it is recorded, and the metrics due at it; both come round."""
        at = step % self._period, size
        if at not in self._patterns:
            recorded = [(step + i) % self._stride == 0 for i in range(size)]
            names = due(self._experiment, step, size)
            self._patterns[at] = tuple((kept, own if kept else ()) for kept, own in zip(recorded, names, strict=True))
        return self._patterns[at]

    def _find_ends(self, places: np.ndarray, before: list[Tensor], step: int, batches: Sequence[Batch]) -> None:
        """Take the steps again from `before` to see at which each suspect ended, and again up to there to keep it."""
        index = self._places(self._at[places])
        self._runs.carry = before
        found = self._runs.advance(batches, ((True, ()),) * len(batches))
        totals = np.concatenate([host(summary.totals[:, index]) for summary in found])
        losses = [summary.losses for summary in found if summary.losses is not None]
        norms = [summary.norms for summary in found if summary.norms is not None]
        stops = self._endings.judge(
            self._at[places],
            np.arange(step, step + len(batches)),
            totals,
            np.concatenate([host(x[:, index]) for x in losses]) if losses else totals[:, :, None],
            np.concatenate([host(x[:, index]) for x in norms]) if norms else None,
        )
        self._runs.carry, made = before, 0
        for stop in np.unique(stops[stops >= 0]) - step:
            self._runs.advance(batches[made:stop], ((False, ()),) * (stop - made))
            here, made = np.flatnonzero(stops == step + stop), stop
            columns = self._runs.columns(index[torch.from_numpy(here)])
            self._endings.keep(self._at[places[here]], step + stop, columns)

    def _drop_ended(self) -> None:
        """Leave ended runs behind where that makes the stack less than half as large; until then they idle along."""
        going = ~self._endings.ended[self._at]
        if going.sum() <= len(self._at) / 2:
            if going.any():
                self._runs.select(self._places(self._at[going]))
            self._at = self._at[going]

    def _places(self, runs: np.ndarray) -> Tensor:
        """Return where runs stand in the stack."""
        device = self._runs.carry[0].device
        return torch.from_numpy(np.flatnonzero(np.isin(self._at, runs))).to(device)
