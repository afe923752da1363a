"""The state of many runs of one structure, advanced block by block."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from descend.sweeps.entries import EntryByEntry, join, small, split
from descend.sweeps.program import Found, Numbers, Program
from descend.sweeps.streams import Streams
from descend.training.block import STEPS
from descend.training.compiled import compiled, refill, tensors, trace
from descend.training.experiment import Experiment
from descend.types import Batch, Params

MOST_STEPS = 16
# A block with metrics due in it is compiled once its pattern has come up this often; rare ones stay eager.
WORTH_COMPILING = 50

Pattern = tuple[tuple[bool, tuple[str, ...]], ...]
"""For each step of a block: whether its losses are recorded, and the metrics due at it."""


class Summary(NamedTuple):
    """What a block of steps tells of every run, and what it recorded at k of them; few tensors, for each costs time.

    Attributes:
        lowest: the lowest finite total, [runs].
        finite: whether every total was finite, [runs].
        norm: the lowest ‖gradient‖, [runs]; None where no rule asks.
        totals: the totals at the steps recorded, [k, runs].
        losses: the losses there, [k, runs, m]; None where there is only one.
        observed: for each step with metrics due, by offset, their values by name, run by run.
    """

    lowest: Tensor
    finite: Tensor
    norm: Tensor | None
    totals: Tensor
    losses: Tensor | None
    observed: dict[int, dict[str, Tensor]]


class Runs:
    """Runs that differ in numbers, starts and batches, and advance together.

    Args:
        program: their step, traced.
        numbers: the numbers that differ, each [runs].
        params: their starting parameters, each [runs, …].
        streams: their batches.
        whole: how many steps a block must have to be compiled, once it has come up often enough; None compiles none.

    Attributes:
        carry: what goes from step to step, flat; the run axis stands at `program.axis` in what differs between runs.
    """

    def __init__(self, program: Program, numbers: Numbers, params: Params, streams: Streams, whole: int | None) -> None:
        self.program, self.numbers, self.streams, self._whole = program, numbers, streams, whole
        self.carry = self._start(params)
        self._calls: dict[tuple[str, ...], Callable[..., Sequence[Tensor]]] = {}
        self._programs: dict[Pattern, Callable[..., Any]] = {}
        self._seen: Counter[Pattern] = Counter()

    def _start(self, params: Params) -> list[Tensor]:
        """Return every run's carry before its first step."""
        first, axis = self.program.first, self.program.axis
        with torch.no_grad():
            found = first.vmapped(0)(*self.numbers.values(), *params.values())
        runs = len(next(iter(params.values())))
        placed = []
        for x, differs, already in zip(found, self.program.carried, first.output, strict=True):
            spread = x if already or not differs else x.expand(runs, *x.shape)
            placed.append(spread.movedim(0, axis).contiguous() if differs else x)
        return placed

    def advance(self, batches: Sequence[Batch], pattern: Pattern) -> Summary:
        """Make one step for each batch."""
        drawn = [[] if batch is None else tensors(batch) for batch in batches]
        block = self._program(pattern, drawn)
        with torch.no_grad():
            self.carry, summary = block(list(self.numbers.values()), self.carry, drawn)
        return summary

    def _block(
        self, pattern: Pattern, numbers: list[Tensor], carry: Sequence[Tensor], drawn: list[list[Tensor]]
    ) -> tuple[list[Tensor], Summary]:
        every: list[Found] = []
        for (_, due), batch in zip(pattern, drawn, strict=True):
            inputs = [*numbers, *carry, *batch]
            carry, found = self.program.step(due).tree(self._call(due, inputs)(*inputs))
            carry = tensors(carry)
            every.append(found)
        return list(carry), self._summary(every, [recorded for recorded, _ in pattern])

    def _block_by_entry(
        self, pattern: Pattern, numbers: list[Tensor], carry: Sequence[Tensor], drawn: list[list[Tensor]]
    ) -> tuple[list[Tensor], Summary]:
        """`_block` for the compiler, where all tensors are small."""
        marks = self.program.step(()).batched
        before = [*numbers, *carry]
        runs = next(x.shape[-1] for x, differs in zip(before, marks, strict=False) if differs)
        state = [split(x, differs) for x, differs in zip(before, marks, strict=False)]
        every: list[Found] = []
        for (_, due), batch in zip(pattern, drawn, strict=True):
            step = self.program.step(due)
            own = [split(x, differs) for x, differs in zip(batch, marks[len(state) :], strict=True)]
            outputs = EntryByEntry(step.graph).run(*state, *own)
            state[len(numbers) :] = outputs[: self.program.kept]
            carry, found = step.tree([join(x, differs, runs) for x, differs in zip(outputs, step.output, strict=True)])
            every.append(found)
        return tensors(carry), self._summary(every, [recorded for recorded, _ in pattern])

    def _summary(self, every: Sequence[Found], recorded: Sequence[bool]) -> Summary:
        totals = [found.total for found in every]
        finite = [total.isfinite() for total in totals]
        norms = [found.norm for found in every if found.norm is not None]
        kept = [i for i, wanted in enumerate(recorded) if wanted]
        several = len(self.program.names) > 1 and kept
        losses = [every[i].losses.movedim(self.program.axis, 0) for i in kept] if several else []
        return Summary(
            lowest=reduce(torch.minimum, [torch.where(f, x, torch.inf) for f, x in zip(finite, totals, strict=True)]),
            finite=reduce(torch.logical_and, finite),
            norm=reduce(torch.minimum, norms) if norms else None,
            totals=torch.stack([totals[i] for i in kept]) if kept else totals[0].new_empty(0, len(totals[0])),
            losses=torch.stack(losses) if losses else None,
            observed={i: found.observed for i, found in enumerate(every) if found.observed},
        )

    def _call(self, due: tuple[str, ...], inputs: Sequence[Tensor]) -> Callable[..., Sequence[Tensor]]:
        """Return the step over all runs as a graph of its own: vmap's bookkeeping is paid once, not at every step."""
        if due not in self._calls:
            self._calls[due], _ = trace(self.program.step(due).vmapped(self.program.axis), *inputs)
        return self._calls[due]

    def _program(self, pattern: Pattern, drawn: list[list[Tensor]]) -> Callable[..., tuple[list[Tensor], Summary]]:
        """Return the block, compiled if its pattern has come up often enough."""
        if pattern in self._programs:
            return self._programs[pattern]
        self._seen[pattern] += 1
        rare = WORTH_COMPILING if any(due for _, due in pattern) else 2
        if self._whole is None or len(pattern) < self._whole or self._seen[pattern] < rare:
            return partial(self._block, pattern)
        by_entry = self.program.axis == -1 and all(small(self.program.step(due).graph) for _, due in pattern)
        block = partial(self._block_by_entry if by_entry else self._block, pattern)
        self._programs[pattern] = self._filling(*compiled(block, list(self.numbers.values()), self.carry, drawn))
        return self._programs[pattern]

    def _filling(
        self, call: Callable[..., Sequence[Tensor]], example: tuple[list[Tensor], Summary]
    ) -> Callable[..., tuple[list[Tensor], Summary]]:
        """Return a compiled block that takes and returns what `_block` does, by hand: walking trees takes longer."""
        summary = example[1]

        def block(
            numbers: list[Tensor], carry: list[Tensor], drawn: list[list[Tensor]]
        ) -> tuple[list[Tensor], Summary]:
            found = call(*numbers, *carry, *itertools.chain(*drawn))
            after, rest = list(found[: self.program.kept]), iter(found[self.program.kept :])
            return after, Summary(
                lowest=next(rest),
                finite=next(rest),
                norm=None if summary.norm is None else next(rest),
                totals=next(rest),
                losses=None if summary.losses is None else next(rest),
                observed=refill(summary.observed, rest) if summary.observed else {},
            )

        return block

    def select(self, runs: Tensor) -> None:
        """Go on with these runs only, int64 indices into the present ones."""
        self.numbers = {leaf: x[runs] for leaf, x in self.numbers.items()}
        marked = zip(self.carry, self.program.carried, strict=True)
        self.carry = [x.index_select(self.program.axis, runs) if differs else x for x, differs in marked]
        if self.streams.of_run is not None:
            self.streams = replace(self.streams, of_run=self.streams.of_run[runs.cpu()])
        self._calls.clear()
        self._programs.clear()

    def columns(self, runs: Tensor) -> list[Tensor]:
        """Return the carry of these runs, flat, the run axis first in every tensor."""
        marked = zip(self.carry, self.program.carried, strict=True)
        return [
            x.index_select(self.program.axis, runs).movedim(self.program.axis, 0)
            if differs
            else x.expand(len(runs), *x.shape)
            for x, differs in marked
        ]


def steps_together(experiment: Experiment) -> int:
    """Return how many steps make one program: a divisor of every metric's period where there is one, near `STEPS`."""
    periods = [metric.every for metric in experiment.metrics.values() if metric.every > 1]
    fitting = [k for k in range(STEPS // 2, MOST_STEPS + 1) if all(period % k == 0 for period in periods)]
    return min(fitting, key=lambda k: abs(k - STEPS), default=STEPS)
