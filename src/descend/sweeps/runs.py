"""The state of many runs of one structure, advanced block by block."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import Any

import torch
from torch import Tensor

from descend.engine.block import STEPS
from descend.engine.compiled import compiled, refill, tensors, trace
from descend.engine.experiment import Experiment
from descend.graph.entries import Inseparable
from descend.sweeps.block import KernelBlock, Pattern, Summary
from descend.sweeps.program import Found, Numbers, Program
from descend.sweeps.streams import Streams
from descend.types import Batch, Params

MOST_STEPS = 16
# A kernel has no cost for each step but the step's own: it is called for so many at a time.
STEPS_OF_A_CALL = 500

# A block with metrics due in it is compiled once its pattern has come up this often; rare ones stay eager.
WORTH_COMPILING = 50


class Runs:
    """Runs that differ in numbers, starts and batches, and advance together.

    Args:
        program: their step, traced.
        numbers: the numbers that differ, each [runs].
        params: their starting parameters, each [runs, …].
        streams: their batches.
        compile: whether blocks are compiled: to a kernel where the step is small, otherwise to a program each time a
            block of `together` steps comes up again.
        threads: how many a kernel may use.
        often: the metrics that are due together often enough for a kernel of their own.

    Attributes:
        carry: what goes from step to step, flat; the run axis stands at `program.axis` in what differs between runs.
        count: how many runs there are.
        compiled: whether any block may be.
        together: how many steps are best taken at a time.

    Raises:
        NoCompiler: a kernel is needed, and this machine has no C compiler.
    """

    def __init__(
        self,
        program: Program,
        numbers: Numbers,
        params: Params,
        streams: Streams,
        compile: bool = False,
        threads: int = 1,
        often: Collection[tuple[str, ...]] = (),
    ) -> None:
        self.program, self.numbers, self.streams = program, numbers, streams
        self.carry, self.count = self._start(params), len(next(iter(params.values())))
        self.compiled, self._threads = compile, threads
        self._calls: dict[tuple[str, ...], Callable[..., Sequence[Tensor]]] = {}
        self._programs: dict[Pattern, Callable[..., Any]] = {}
        self._seen: Counter[Pattern] = Counter()
        self._kernels: dict[tuple[str, ...], KernelBlock | None] = {}
        self._often = often
        self._small = compile and program.small and any([self._kernel(due) for due in often])
        self.together = STEPS_OF_A_CALL if self._small else steps_together(program.experiment)

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

    def advance(self, batches: Sequence[Batch], pattern: Pattern) -> list[Summary]:
        """Make one step for each batch, and return what its blocks tell; their offsets count from the first step."""
        summaries, at = [], 0
        for part in self._parts(pattern):
            drawn = [[] if batch is None else tensors(batch) for batch in batches[at : at + len(part)]]
            block = self._program(part, drawn)
            with torch.no_grad():
                self.carry, summary = block(list(self.numbers.values()), self.carry, drawn)
            observed = {at + i: found for i, found in summary.observed.items()}
            summaries.append(summary._replace(observed=observed))
            at += len(part)
        return summaries

    def _parts(self, pattern: Pattern) -> Iterator[Pattern]:
        """Cut a pattern into blocks: for kernels where the metrics due change, otherwise into programs."""
        if self._small:
            for _, steps in itertools.groupby(pattern, key=lambda step: step[1]):
                yield tuple(steps)
        else:
            for at in range(0, len(pattern), self.together):
                yield pattern[at : at + self.together]

    def _kernel(self, due: tuple[str, ...]) -> KernelBlock | None:
        """Return the kernel of a step with these metrics; None where they are rare, or more than arithmetic."""
        if due and due not in self._often:
            return None
        if due not in self._kernels:
            try:
                self._kernels[due] = KernelBlock(self.program, due, self._threads)
            except Inseparable:
                self._kernels[due] = None
        return self._kernels[due]

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

    def _summary(self, every: Sequence[Found], recorded: Sequence[bool]) -> Summary:
        totals = [found.total for found in every]
        finite = [total.isfinite() for total in totals]
        norms = [found.norm for found in every if found.norm is not None]
        kept = [i for i, wanted in enumerate(recorded) if wanted]
        several = len(self.program.names) > 1 and kept
        losses = [every[i].losses.movedim(self.program.axis, 0) for i in kept] if several else []
        none = totals[0].new_empty(0, len(totals[0]))
        return Summary(
            lowest=reduce(torch.minimum, [torch.where(f, x, torch.inf) for f, x in zip(finite, totals, strict=True)]),
            finite=reduce(torch.logical_and, finite),
            norm=reduce(torch.minimum, norms) if norms else None,
            totals=torch.stack([totals[i] for i in kept]) if kept else none,
            losses=torch.stack(losses) if losses else None,
            norms=(torch.stack([norms[i] for i in kept]) if kept else none) if norms else None,
            observed={
                i: {name: x if x.dim() else x.expand(self.count) for name, x in found.observed.items()}
                for i, found in enumerate(every)
                if found.observed
            },
        )

    def _call(self, due: tuple[str, ...], inputs: Sequence[Tensor]) -> Callable[..., Sequence[Tensor]]:
        """Return the step over all runs as a graph of its own: vmap's bookkeeping is paid once, not at every step."""
        if due not in self._calls:
            self._calls[due], _ = trace(self.program.step(due).vmapped(self.program.axis), *inputs)
        return self._calls[due]

    def _program(self, pattern: Pattern, drawn: list[list[Tensor]]) -> Callable[..., tuple[list[Tensor], Summary]]:
        """Return what takes the block: a kernel, a program compiled since its pattern came up often, or torch."""
        kernel = self._kernel(pattern[0][1]) if self._small else None
        if kernel is not None:
            return partial(kernel, self.count, pattern)
        if self._small or not self.compiled:
            return partial(self._block, pattern)
        if pattern in self._programs:
            return self._programs[pattern]
        self._seen[pattern] += 1
        rare = WORTH_COMPILING if any(due for _, due in pattern) else 2
        if len(pattern) < self.together or self._seen[pattern] < rare:
            return partial(self._block, pattern)
        block = partial(self._block, pattern)
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
                norms=None if summary.norms is None else next(rest),
                observed=refill(summary.observed, rest) if summary.observed else {},
            )

        return block

    def select(self, runs: Tensor) -> None:
        """Go on with these runs only, int64 indices into the present ones."""
        self.numbers, self.count = {leaf: x[runs] for leaf, x in self.numbers.items()}, len(runs)
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
