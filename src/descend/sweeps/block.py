"""Blocks of steps of many runs: what is asked of them, what they tell, and how a kernel takes them."""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from descend.engine.backends.kernel import Kernel
from descend.engine.backends.source import Step
from descend.sweeps.program import Program

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
        norms: ‖gradient‖ there, [k, runs]; None where no rule asks.
        observed: for each step with metrics due, by offset, their values by name, run by run.
    """

    lowest: Tensor
    finite: Tensor
    norm: Tensor | None
    totals: Tensor
    losses: Tensor | None
    norms: Tensor | None
    observed: dict[int, dict[str, Tensor]]


class KernelBlock:
    """Takes blocks of steps that are alike by a kernel.

    Args:
        program: the step, traced; its run axis is the last.
        due: the metrics due at each step.
        threads: how many may be used.

    Raises:
        Inseparable: the step is more than arithmetic between entries.
        NoCompiler: this machine has no C compiler.
    """

    def __init__(self, program: Program, due: tuple[str, ...], threads: int) -> None:
        step = program.step(due)
        _, places = step.tree(range(len(step.output)))  # where each output stands
        several = len(program.names) > 1
        watched = [places.total] if places.norm is None else [places.total, places.norm]
        recorded = [*watched, *([places.losses] if several else []), *places.observed.values()]
        self._normed, self._several, self._names, self._threads = (
            places.norm is not None,
            several,
            list(places.observed),
            threads,
        )
        self._kernel = Kernel(Step(step.graph, step.batched, program.numbers, recorded, watched))

    def __call__(
        self, runs: int, pattern: Pattern, numbers: list[Tensor], carry: Sequence[Tensor], drawn: list[list[Tensor]]
    ) -> tuple[list[Tensor], Summary]:
        """Make the steps of a pattern with `runs` runs; nothing is drawn for them."""
        kept = [recorded for recorded, _ in pattern]
        after, rows, lowest, finite = self._kernel.advance([*numbers, *carry], len(kept), kept, runs, self._threads)
        rest = iter(rows)
        totals = next(rest)
        norms = next(rest) if self._normed else None
        losses = next(rest).movedim(1, 2) if self._several else None
        observed = dict(zip(self._names, rest, strict=True))
        places = [i for i, wanted in enumerate(kept) if wanted and observed]
        summary = Summary(
            lowest=lowest[0],
            finite=finite,
            norm=lowest[1] if self._normed else None,
            totals=totals,
            losses=losses,
            norms=norms,
            observed={at: {name: x[row] for name, x in observed.items()} for row, at in enumerate(places)},
        )
        return after, summary
