"""Steps made by a program that torch's inductor compiles, for a fixed number of runs at a time.

What inductor makes of a step depends on how many runs there are. So a program is compiled for `TILE` runs (or for one,
where the run axis stands first) and called for one part of the stack after the other: a run gets the same bits whatever
stands beside it. What is compiled depends on the number of a step alone: whole programs first, the rest by the graph.
"""

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from descend.devices import is_failure
from descend.engine.backends.backend import Pattern, Summary
from descend.engine.backends.graph import GraphBackend
from descend.engine.backends.stacked import laid
from descend.engine.program import Program
from descend.engine.step import Origin
from descend.graph.code import python_function
from descend.graph.compat import OpOverload, compiler
from descend.graph.recorder import OneCall, record
from descend.graph.simplify import simplified
from descend.graph.stack import stacked
from descend.graph.trace import tensors
from descend.types import Batch

STEPS = 8
"""Steps in a program: fewer pay Python's call too often, more compile for longer and gain little."""

TILE = 128
"""Runs in a program whose run axis stands last."""


class CompileFailed(Exception):
    """The step cannot be compiled; the message says why."""


class CompiledBackend(GraphBackend):
    """Advances a stack by a compiled program of `STEPS` steps.

    Args:
        program, numbers, origin: as for `GraphBackend`.

    Raises:
        CompileFailed: the step cannot be compiled.
    """

    name: ClassVar[str] = "compiled"
    aligned: bool = True

    def __init__(self, program: Program, numbers: Sequence[Tensor], origin: Origin) -> None:
        self._unit = TILE
        super().__init__(program, numbers, origin)
        self.steps_per_call = STEPS
        self._own = [True] * len(numbers) + self.carried  # which inputs have the run axis
        self._call = self._compiled()

    def _compiled(self) -> Callable[..., Sequence[Tensor]]:
        """Return `STEPS` steps of one tile, from numbers, carry and batches to every step's carry and what it found."""
        compiled = compiler()

        recorded, drawn = self.program.step(()), tensors(self.program.batch)
        tile = [x.narrow(-1, 0, TILE) if own and self.program.last else x for x, own in self._marked(self._inputs())]
        tile = tile if self.program.last else [x[0] if own else x for x, own in self._marked(tile)]
        graph = recorded.graph
        if self.program.last:
            graph = simplified(stacked(graph, recorded.differs, [*tile, *drawn], last=True))
        called = [node.target for node in graph.graph.nodes if node.op == "call_function"]
        reasons = dict.fromkeys(obstacle_to_compiling(target) for target in called if not is_builtin(target))
        if reasons:
            raise CompileFailed(f"it {' and '.join(reasons)}")
        step, numbers = python_function(graph), len(self._numbers)

        def steps(*flat: Tensor) -> list[Tensor]:
            carry, found = list(flat[numbers : len(tile)]), []
            for i in range(STEPS):
                at = len(tile) + i * len(drawn)
                outputs = step(*flat[:numbers], *carry, *flat[at : at + len(drawn)])
                carry = outputs[: self.program.kept]
                found += outputs
            return found

        examples = [*tile, *drawn * STEPS]
        try:
            with torch.no_grad():
                return compiled(simplified(record(steps, examples)), list(examples))
        except Exception as error:  # a compiler may raise anything
            if is_failure(error):
                raise
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise CompileFailed(reason) from error

    def _inputs(self) -> list[Tensor]:
        return [*(laid(x, self.program.last, self._unit) for x in self._numbers), *self.carry]

    def _marked(self, inputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, bool]]:
        return zip(inputs, self._own, strict=True)

    def advance(self, batches: Sequence[Batch], pattern: Pattern) -> list[Summary]:
        found, whole = [], len(batches) - len(batches) % STEPS
        for at in range(0, whole, STEPS):
            summary = self._eight(batches[at : at + STEPS], pattern[at : at + STEPS])
            found.append(summary._replace(observed={at + i: x for i, x in summary.observed.items()}))
        if whole < len(batches):
            [summary] = super().advance(batches[whole:], pattern[whole:])
            found.append(summary._replace(observed={whole + i: x for i, x in summary.observed.items()}))
        return found

    def _eight(self, batches: Sequence[Batch], pattern: Pattern) -> Summary:
        """Make `STEPS` steps, one tile after the other."""
        drawn = [tensors(batch) for batch in batches]
        with torch.no_grad():
            outputs = self._tiles(drawn)
        size, observed, made = len(outputs) // STEPS, {}, []
        step = self.program.step(())
        marks = step.tree(step.output)
        for i, (_, names) in enumerate(pattern):
            own = outputs[i * size : (i + 1) * size]
            before, self.carry = self.carry, own[: self.program.kept]
            made.append(step.tree(own)[1])
            if names:
                weights = self._spread_one(made[-1].weights, marks[1].weights)
                observed[i] = self._look(names, before, weights, batches[i])
        with torch.no_grad():
            return self._told(made, [recorded for recorded, _ in pattern])._replace(observed=observed)

    def _tiles(self, drawn: Sequence[Sequence[Tensor]]) -> list[Tensor]:
        """Return the outputs of all tiles, put together along the run axis."""
        inputs, last = self._inputs(), self.program.last
        flat = [x for batch in drawn for x in batch]
        parts = []
        for at in range(0, self._height, TILE if last else 1):
            given = [(x.narrow(-1, at, TILE) if last else x[at]) if own else x for x, own in self._marked(inputs)]
            batch = [x[at] for x in flat] if self.program.own_batches else flat
            parts.append(self._call(*[x.contiguous() for x in given], *batch))
        marks = self.program.step(()).output * STEPS
        axis = -1 if last else 0
        join = torch.cat if last else torch.stack
        return [join(x, axis) if own else x[0] for x, own in zip(zip(*parts, strict=True), marks, strict=True)]


def is_builtin(target: object) -> bool:
    """Tell whether a compiler knows an operation."""
    return isinstance(target, OpOverload) or target is operator.getitem


def obstacle_to_compiling(target: object) -> str:
    """Return what a step does, in words, that a compiler cannot take."""
    return target.described if isinstance(target, OneCall) else "has operations that are made for one run after another"
