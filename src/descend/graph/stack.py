"""Turns a step of one run into a step of many runs, so that every run gets the bits that it gets alone.

The graph of one run is carried out operation by operation on tensors with one more axis, the run axis, and this is
recorded as a new graph. The run axis is the last for small functions (one entry of a parameter lies side by side for
all runs, and vectorises) and the first for all others (matrix products of many runs are one batched product).

Equality to the bit rests on three rules, each held by `tests/graph/test_stack.py`:

- Elementwise operations give a number the same result wherever it lies in memory. Those in `STEADY` do so as they are.
  The others round differently in the body of a loop (vectors) and in its tail (one by one): they are computed on
  contiguous memory whose length is a multiple of `VECTORS`, so that there is no tail.
- With the run axis last, the number of runs is a multiple of `VECTORS`: reductions over a run's entries have no tail.
- With the run axis first, matrix products are batched only where every matrix begins at an aligned address; operations
  that are not known to be safe are computed run by run.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.fx import GraphModule

from descend.graph.layouts import First, Last
from descend.graph.many import Many
from descend.graph.recorder import VALUE, Value, inputs, record


def stacked(
    graph: GraphModule,
    differs: Sequence[bool],
    examples: Sequence[Tensor],
    last: bool,
) -> GraphModule:
    """Return the step of one run as the step of many, a graph of plain tensor operations.

    Args:
        graph: the step of one run.
        differs: for each of its inputs, whether it differs between runs.
        examples: the inputs of many runs; those that differ have the run axis.
        last: whether the run axis is the last, its length then a multiple of `VECTORS`; else it is the first.

    Returns:
        A graph of the same inputs and outputs. Outputs that depend on no differing input have no run axis.
    """

    def step(*given: Tensor) -> list[Tensor]:
        return carried_out(graph, differs, given, last)

    with torch.no_grad():
        return record(step, examples)


def carried_out(graph: GraphModule, differs: Sequence[bool], given: Sequence[Tensor], last: bool) -> list[Tensor]:
    """Return the results of the step of one run for many runs; arguments as for `stacked`."""
    marked = [Many(x) if own else x for x, own in zip(given, differs, strict=True)]
    layout = Last(graph) if last else First(graph)
    return [x.x if isinstance(x, Many) else x for x in layout.run(*marked)]


def runs_last(graph: GraphModule, most: int) -> bool:
    """Tell whether the run axis stands last: where every tensor of one run has at most `most` entries."""
    values = [node.meta.get(VALUE) for node in graph.graph.nodes]
    return all(x.numel <= most for x in values if isinstance(x, Value)) and bool(inputs(graph))
