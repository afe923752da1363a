"""Steps of a few numbers made by a kernel: the step in C, all steps inside the loop over runs."""

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import ClassVar

from torch import Tensor

from descend.engine.backends.backend import Pattern, Summary
from descend.engine.backends.c_program import CProgram
from descend.engine.backends.graph import GraphBackend
from descend.engine.backends.source import FEW_LANES, LANES, KernelSource, KernelStep
from descend.engine.block import due
from descend.engine.experiment import Experiment
from descend.engine.program import Program
from descend.engine.step import Origin
from descend.graph.entries import Inseparable, small
from descend.graph.recorder import depends
from descend.types import Batch

STEPS_OF_A_CALL = 500
"""Kernels have no overhead per step, so they are called for this many steps at once."""

STEPS_OF_A_KERNEL = 500
"""Break-even: compiling a kernel costs about as much as this many eager steps."""


class KernelBackend(GraphBackend):
    """Advances a stack by kernels: one for steps without metrics, one for each set of frequent metrics.

    The carry always goes on by a kernel. Metrics that a kernel cannot compute, or that are due rarely, are computed
    beside it, from the carries before and after the step.

    Args:
        program, numbers, origin: as for `GraphBackend`; the step draws no batches, and its tensors lie on the CPU.
        stride: every how many steps a run's losses and due metrics are recorded.
        threads: how many may be used.

    Raises:
        Inseparable: the step is more than arithmetic between entries.
        NoCompiler: this machine has no C compiler.
    """

    name: ClassVar[str] = "kernel"

    def __init__(
        self, program: Program, numbers: Sequence[Tensor], origin: Origin, stride: int = 1, threads: int = 1
    ) -> None:
        self._threads = threads
        self._frequent = frequent_metrics(program.experiment, stride)
        self._beside = bool(program.experiment.metrics)  # whether a metric may be computed beside a step
        varying = [bool((x != x[0]).any()) for x in numbers]
        self.marks = grown(program, varying)
        super().__init__(program, numbers, origin)
        self._kernels: dict[tuple[str, ...], StepKernel | None] = {(): self._made(())}
        self.steps_per_call = STEPS_OF_A_CALL

    @property
    def carried(self) -> list[bool]:
        return self.marks[len(self.program.leaves) :]

    def _made(self, names: tuple[str, ...]) -> "StepKernel":
        return StepKernel(self.program, names, self.marks, self._height, weights=not names and self._beside)

    def _kernel(self, names: tuple[str, ...]) -> "StepKernel | None":
        """Return the kernel of a step with these metrics; None where they are rare, or more than arithmetic."""
        if names not in self._kernels:
            self._kernels[names] = None
            if names in self._frequent and not self._hosted(names):
                with suppress(Inseparable):
                    self._kernels[names] = self._made(names)
        return self._kernels[names]

    def advance(self, batches: Sequence[Batch], pattern: Pattern) -> list[Summary]:
        found, at = [], 0
        for part in self._parts(pattern):
            summary = self._part(part)
            found.append(summary._replace(observed={at + i: x for i, x in summary.observed.items()}))
            at += len(part)
        return found

    def _parts(self, pattern: Pattern) -> Iterator[Pattern]:
        """Cut a pattern where the metrics due change; steps whose metrics are computed beside them stand alone."""
        for names, steps in itertools.groupby(pattern, key=lambda step: step[1]):
            if self._kernel(names) is not None:
                yield tuple(steps)
            else:
                yield from ((step,) for step in steps)

    def _part(self, part: Pattern) -> Summary:
        names = part[0][1]
        numbers = [self._laid(x, own) for x, own in zip(self._numbers, self.marks, strict=False)]
        kept = [recorded for recorded, _ in part]
        kernel, before = self._kernel(names) or self._kernels[()], self.carry
        assert kernel is not None  # that of a step without metrics is always there
        self.carry, summary, weights = kernel(numbers, before, kept, self._count, self._threads)
        if names and kernel is self._kernels[()]:
            return summary._replace(observed={0: self._look(names, before, weights, None)})
        return summary

    def select(self, places: Sequence[int]) -> None:
        super().select(places)
        lanes = lanes_for(self._height)
        if any(kernel is not None and kernel.lanes != lanes for kernel in self._kernels.values()):
            self._kernels = {(): self._made(())}


def may_take(program: Program) -> bool:
    """Tell whether a step is as small as kernels are for."""
    return small(program.step(()).graph) and not program.draws and program.last


def separable(program: Program) -> bool:
    """Tell whether a kernel can make the steps of a program; no compiler is asked."""
    if not may_take(program):
        return False
    step = program.step(())
    _, places = step.tree(range(len(step.output)))
    marks = grown(program, [False] * len(program.leaves))
    try:
        made = KernelStep(step.graph, marks, len(program.leaves), [places.total], [places.total], LANES)
        [*_] = KernelSource(made).lines()
    except Inseparable:
        return False
    return True


def grown(program: Program, varying: Sequence[bool]) -> list[bool]:
    """Return for each number and each tensor of the carry whether it differs between runs.

    Args:
        varying: for each number, whether it does.
    """
    params = set(program.params_places)
    marks = [*varying, *(i in params for i in range(program.kept))]
    while True:
        output = depends(program.step(()).graph, marks)
        carried = [own or out for own, out in zip(marks[len(varying) :], output, strict=False)]
        if carried == marks[len(varying) :]:
            return marks
        marks = [*varying, *carried]


def lanes_for(runs: int) -> int:
    """Return how many runs a kernel takes together."""
    return FEW_LANES if runs <= FEW_LANES else LANES


class StepKernel:
    """Makes steps that are alike.

    Args:
        program: the experiment, recorded.
        names: the metrics due at each step.
        marks: for each number and each tensor of the carry, whether it differs between runs.
        runs: how many there are, those included that fill up the last vector.
        weights: whether the aggregator's weights of the last step recorded are wanted.

    Raises:
        Inseparable, NoCompiler: as for `KernelBackend`.
    """

    def __init__(
        self, program: Program, names: tuple[str, ...], marks: Sequence[bool], runs: int, weights: bool
    ) -> None:
        step = program.step(names)
        _, places = step.tree(range(len(step.output)))  # where each output stands
        several = len(program.names) > 1
        watched = [places.total, *places.sizes.values()]
        own = [*([places.losses] if several else []), *([places.weights] if weights else [])]
        recorded = [*watched, *own, *places.observed.values()]
        self._sizes, self._several, self._weights = list(places.sizes), several, weights
        self._names = list(places.observed)
        self.lanes = lanes_for(runs)
        self._program = CProgram(KernelStep(step.graph, marks, len(program.leaves), recorded, watched, self.lanes))

    def __call__(
        self, numbers: list[Tensor], carry: Sequence[Tensor], kept: Sequence[bool], count: int, threads: int
    ) -> tuple[list[Tensor], Summary, Tensor]:
        """Make a step for each of `kept`, which tells whether it is recorded.

        Returns:
            The carry after them, what they tell, and the weights of the last step recorded, [m, runs], if wanted.
        """
        runs = next(x.shape[-1] for x in carry if x.dim())
        after, rows, lowest, finite = self._program.advance([*numbers, *carry], len(kept), kept, runs, threads)
        rest = iter(rows)
        totals = next(rest)[..., :count]
        sizes = {name: next(rest)[..., :count] for name in self._sizes}
        losses = next(rest)[..., :count].movedim(1, 2) if self._several else None
        weights = next(rest) if self._weights else totals.new_empty(0)
        observed = dict(zip(self._names, rest, strict=True))
        places = [i for i, wanted in enumerate(kept) if wanted and observed]
        summary = Summary(
            lowest=lowest[0][:count],
            finite=finite[:count],
            least={name: x[:count] for name, x in zip(self._sizes, lowest[1:], strict=True)},
            totals=totals,
            losses=losses,
            sizes=sizes,
            observed={
                at: {name: x[row, ..., :count].movedim(-1, 0) for name, x in observed.items()}
                for row, at in enumerate(places)
            },
        )
        return after, summary, weights[-1] if len(weights) else weights


def frequent_metrics(experiment: Experiment, stride: int) -> frozenset[tuple[str, ...]]:
    """Return the sets of metrics that are due at enough steps for a kernel of their own to pay.

    Args:
        stride: metrics are computed at every `stride`-th step only.
    """
    period = math.lcm(stride, *(metric.every for metric in experiment.metrics.values()))
    looked_at = min(period, max(experiment.steps, 1))
    every = due(experiment, 0, looked_at)
    found = Counter(names if step % stride == 0 else () for step, names in enumerate(every))
    return frozenset(n for n, count in found.items() if count * experiment.steps >= STEPS_OF_A_KERNEL * looked_at)
