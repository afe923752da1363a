"""A recorded function of one run, made for a stack of runs."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from descend.engine.program import Recorded, StepValues
from descend.graph.clock import Clocked
from descend.graph.code import python_function, split_early
from descend.graph.many import VECTORS
from descend.graph.simplify import simplified
from descend.graph.stack import carried_out, stacked
from descend.graph.trace import tensors
from descend.types import Batch


class Stacked:
    """A recorded function made for a stack of runs, to be carried out many times.

    Args:
        recorded: the function of one run.
        last: whether the run axis stands last.
        given: its inputs, in their place in the stack.
        numbers: how many of them, the first, never change: what needs these alone is computed now.
        kept: how many of its outputs are a carry, which stands behind the numbers among its inputs.

    Attributes:
        tree: gives flat outputs the shape of the function's output.
        marks: that shape, filled with whether each tensor differs between runs.
    """

    def __init__(self, recorded: Recorded, last: bool, given: Sequence[Tensor], numbers: int, kept: int = 0) -> None:
        graph = simplified(stacked(recorded.graph, recorded.differs, given, last))
        early, rest = split_early(graph, [i < numbers for i in range(len(given))])
        self._step = Clocked(rest, given[:numbers], python_function(early)(*given[:numbers]), kept)
        self.tree, self.marks = recorded.tree, recorded.tree(recorded.output)
        self._places = recorded.tree(range(len(recorded.output)))

    def call(self, *more: Tensor) -> list[Tensor]:
        """Carry it out, given the inputs behind the numbers."""
        return self._step.one(*more)

    def calls(self, carry: Sequence[Tensor], batches: Sequence[Batch]) -> Iterator[list[Tensor]]:
        """Carry out a step for each batch, each from where the one before ended."""
        return self._step.several(carry, [tensors(batch) for batch in batches])

    def found(self, outputs: Sequence[Tensor]) -> StepValues:
        """Return what a step found; by hand, for walking trees takes longer."""
        at: Any = self._places[1]  # numbers where `StepValues` has tensors
        sizes = {name: outputs[i] for name, i in at.sizes.items()}
        observed = {name: outputs[i] for name, i in at.observed.items()}
        return StepValues(outputs[at.total], outputs[at.losses], outputs[at.weights], sizes, observed)


def once(recorded: Recorded, last: bool, columns: Sequence[Tensor]) -> list[Tensor]:
    """Carry out a recorded function for many runs, whose inputs are [runs, …] each, and return its outputs likewise."""
    runs, axis = len(columns[0]), -1 if last else 0
    given = [laid(x, last) if own else x[0] for x, own in zip(columns, recorded.differs, strict=True)]
    with torch.no_grad():
        found = carried_out(recorded.graph, recorded.differs, given, last)
    return [
        x.movedim(axis, 0)[:runs] if own else x.expand(runs, *x.shape)
        for x, own in zip(found, recorded.output, strict=True)
    ]


def laid(x: Tensor, last: bool, unit: int = VECTORS) -> Tensor:
    """Return a tensor [runs, …] with the run axis in its place; the last is filled up to a multiple of `unit`."""
    if not last:
        return x.contiguous()
    spare = -len(x) % unit
    filled = torch.cat([x, x[:1].expand(spare, *x.shape[1:])]) if spare else x
    return filled.movedim(0, -1).contiguous()
