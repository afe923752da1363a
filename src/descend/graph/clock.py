"""Scalars that depend on the number of the step alone, computed for many steps at once.

Adam's corrections 1 − βᵗ and a schedule's factor are known before the steps are made. On a GPU a small step takes as
long as it takes to launch its kernels, and these scalars are a sixth of those of Adam on a small network.

A step's carry has a *clock*: the scalars whose next value depends on themselves and on inputs that never change, such
as the count of steps or the running product βᵗ. A step is cut in three parts: the clock, which is computed step by
step; the *derived* scalars, which elementwise operations compute from the clock, for all steps of a block at once; and
the rest. Only operations that round alike in every place are derived, so every number is the same to the bit as without
the cut.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import repeat

import torch
from torch import Size, Tensor
from torch.fx import GraphModule, Node

from descend.graph.code import Compiled, needs_only, python_function, subgraph
from descend.graph.compat import OpOverload
from descend.graph.layouts import same_everywhere
from descend.graph.operations import is_pointwise
from descend.graph.recorder import VALUE, inputs, returned

aten = torch.ops.aten

BLOCK = 16
"""The most steps whose scalars are computed at once: a longer block saves hardly any more launches."""

MOST_NUMBERS = 2**18
"""A scalar takes at most this many numbers over the runs and steps of a block: estimates of memory leave it out."""

SHORTEST = 4
"""The fewest steps of a block that is cut: for fewer, stacking the clock's values costs more than it saves."""

LEAST = 2
"""The fewest derived operations for which a step is cut."""


class Clocked:
    """A step as a function, called for one step or for several in a row.

    Args:
        graph: the step, from its fixed inputs, its carry, a batch and further fixed inputs to its new carry and what it
            found.
        before, behind: the fixed inputs. Those that are scalars of runs have at most one axis.
        kept: how many tensors the carry has.
    """

    def __init__(self, graph: GraphModule, before: Sequence[Tensor], behind: Sequence[Tensor], kept: int) -> None:
        self._graph, self._before, self._behind, self._kept = graph, before, behind, kept
        self._length = min(BLOCK, max(1, MOST_NUMBERS // max((x.numel() for x in before), default=1)))

    def one(self, *more: Tensor) -> list[Tensor]:
        """Make a step, given its carry and its batch."""
        return self._plain(*self._before, *more, *self._behind)

    def several(self, carry: Sequence[Tensor], batches: Sequence[Sequence[Tensor]]) -> Iterator[list[Tensor]]:
        """Make one step for each batch; each step goes on from the one before."""
        for begin in range(0, len(batches), self._length):
            for outputs in self._block(carry, batches[begin : begin + self._length]):
                carry = outputs[: self._kept]
                yield outputs

    def _block(self, carry: Sequence[Tensor], batches: Sequence[Sequence[Tensor]]) -> Iterator[list[Tensor]]:
        cut = self._cut if len(batches) >= SHORTEST else None
        step = self._plain if cut is None else cut.rest
        aheads = repeat([]) if cut is None else cut.ahead(carry, len(batches))
        for batch, ahead in zip(batches, aheads, strict=False):
            with torch.no_grad():
                outputs = step(*self._before, *carry, *batch, *self._behind, *ahead)
            carry = outputs[: self._kept]
            yield outputs

    @cached_property
    def _plain(self) -> Compiled:
        """The whole step."""
        return python_function(self._graph, reuse=True)

    @cached_property
    def _cut(self) -> "Cut | None":
        """The step cut in three; None where that does not pay."""
        found = Cut(self._graph, self._before, self._behind, self._kept)
        return found if found.saved >= LEAST else None


class Cut:
    """A step cut in three: the clock, the scalars derived from it, and the rest.

    Attributes:
        saved: how many operations the rest leaves out.
    """

    def __init__(self, graph: GraphModule, before: Sequence[Tensor], behind: Sequence[Tensor], kept: int) -> None:
        given, found = inputs(graph), returned(graph)
        first, shapes = len(before), {Size(), *(x.shape for x in before)}
        self._fixed = [*before, *behind]
        fixed = [*given[:first], *given[len(given) - len(behind) :]]
        carry, results = given[first : first + kept], found[:kept]
        self._places = clock(graph, fixed, carry, results, shapes)
        now, after = [carry[i] for i in self._places], [results[i] for i in self._places]
        self._new = new_nodes(after, given)
        new = [after[i] for i in self._new]
        derived = derived_from(graph, fixed, [*now, *new], shapes)
        wanted = [node for node in derived if any(user not in derived for user in node.users)]
        self.saved = len(derived)
        self._shapes = [node.meta[VALUE].shape for node in wanted]
        self._read = [any(user in derived for user in node.users) for node in (*now, *new)]
        self._graph, self._known, self._result = graph, given, found
        self._now, self._after, self._wanted = [*fixed, *now], after, wanted
        self._later = new

    @cached_property
    def _tick(self) -> Compiled:
        """From the fixed inputs and the clock to the next clock."""
        return python_function(subgraph(self._graph, self._now, self._after))

    @cached_property
    def _at_once(self) -> Compiled:
        """From the fixed inputs and the clocks before and after each step to what is derived."""
        return python_function(subgraph(self._graph, [*self._now, *self._later], self._wanted))

    @cached_property
    def rest(self) -> Compiled:
        """The step without the derived operations; it takes what `ahead` yields behind its own inputs."""
        graph = subgraph(self._graph, [*self._known, *self._later, *self._wanted], self._result)
        return python_function(graph, reuse=True)

    def ahead(self, carry: Sequence[Tensor], steps: int) -> Iterator[list[Tensor]]:
        """Yield for each step the values of the clock that are new after it, and the derived scalars."""
        with torch.no_grad():
            clocks = [[carry[i] for i in self._places]]
            for _ in range(steps):
                clocks.append(self._tick(*self._fixed, *clocks[-1]))
            after = [[values[i] for i in self._new] for values in clocks[1:]]
            columns = zip(*([*now, *new] for now, new in zip(clocks, after, strict=False)), strict=True)
            stacked = [side_by_side(x) if read else x[0] for x, read in zip(columns, self._read, strict=True)]
            found = self._at_once(*self._fixed, *stacked)
        rows = [x.reshape(steps, *shape).unbind() for x, shape in zip(found, self._shapes, strict=True)]
        for new, *derived in zip(after, *rows, strict=True):
            yield [*new, *derived]


def new_nodes(nodes: Sequence[Node], known: Sequence[Node]) -> list[int]:
    """Return the places of the nodes that are not known; of equal nodes the first alone."""
    return [i for i, node in enumerate(nodes) if node not in known and node not in nodes[:i]]


def side_by_side(values: Sequence[Tensor]) -> Tensor:
    """Return a scalar's values at several steps as one tensor: [steps, runs], or [steps, 1] where all runs share it."""
    beside = torch.stack(list(values))
    return beside if beside.dim() > 1 else beside.unsqueeze(1)


def clock(
    graph: GraphModule, fixed: Sequence[Node], carry: Sequence[Node], results: Sequence[Node], shapes: set[Size]
) -> list[int]:
    """Return the places of the clock in the carry.

    Args:
        fixed: the inputs that never change.
        carry, results: the nodes of the carry, and of its next values.
        shapes: the shapes of scalars.
    """
    places = [i for i, node in enumerate(carry) if node.meta[VALUE].shape in shapes]
    while True:
        known = determined(graph, [*fixed, *(carry[i] for i in places)])
        left = [i for i in places if results[i] in known]
        if left == places:
            return places
        places = left


def determined(graph: GraphModule, sources: Sequence[Node]) -> set[Node]:
    """Return the sources, and all that elementwise operations compute from them and from constants alone."""
    known = {*sources, *(node for node in graph.graph.nodes if node.op == "get_attr")}
    for node in graph.graph.nodes:
        if is_sure(node) and needs_only(node, known):
            known.add(node)
    return known


def is_sure(node: Node) -> bool:
    """Tell whether a node is an elementwise operation that draws nothing."""
    op = node.target
    return isinstance(op, OpOverload) and is_pointwise(op) and torch.Tag.nondeterministic_seeded not in op.tags


def derived_from(graph: GraphModule, fixed: Sequence[Node], times: Sequence[Node], shapes: set[Size]) -> list[Node]:
    """Return the operations on a clock's values, and on their results, that can be made for many steps at once."""
    constant = {*fixed, *(node for node in graph.graph.nodes if node.op == "get_attr")}
    known = {*constant, *times}
    found: dict[Node, None] = {}
    for node in graph.graph.nodes:
        if node in known or not is_sure(node) or not needs_only(node, known):
            continue
        sources = node.all_input_nodes
        small = all(x.meta[VALUE].shape in shapes for x in (node, *sources))
        if small and not constant.issuperset(sources) and same_everywhere(node) and is_of_one_type(node):
            known.add(node)
            found[node] = None
    return list(found)


def is_of_one_type(node: Node) -> bool:
    """Tell whether a node reads numbers of one dtype; else the dtype of its result would depend on their axes."""
    read = node.args[1:] if node.target is aten.where.self else node.all_input_nodes
    return len({x.meta[VALUE].dtype for x in read if isinstance(x, Node)}) == 1
