"""What a step needs that depends on its number alone, computed for many steps at once.

Adam's corrections 1 − βᵗ and a schedule's factor are known before the steps are made. On a GPU a small step takes as
long as it takes to launch its kernels, and these scalars are a sixth of those of Adam on a small network.

A step's carry has a *clock*: the scalars whose next value depends on themselves and on inputs that never change, such
as the count of steps or the running product βᵗ. A step is cut in three: the clock, which moves on step by step; what
follows from it by elementwise operations that round the same in every place, computed for all steps of a block at once;
and the rest. Every number is the same to the bit as without the cut.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Size, Tensor
from torch.fx import GraphModule, Node

from descend.graph.code import needs_only, python_function, subgraph
from descend.graph.compat import OpOverload
from descend.graph.layouts import same_everywhere
from descend.graph.operations import is_pointwise
from descend.graph.recorder import VALUE, inputs, returned

aten = torch.ops.aten

BLOCK = 16
"""Steps whose scalars are computed at once, at most: with more, a step launches hardly less."""

MOST_NUMBERS = 2**18
"""Of one scalar, for all runs and steps of a block: the memory of more would have to be counted."""

SHORTEST = 4
"""Steps: to lay the clock's values of fewer side by side costs more than it saves."""

LEAST = 2
"""Operations that are worth being computed ahead."""


class Clocked:
    """A step as a function, called for one step or for several in a row.

    Args:
        graph: the step, from its fixed inputs, its carry, a batch and further fixed inputs to its new carry and what it
            found.
        before, behind: the fixed inputs. They have one axis at most where they are scalars of runs.
        kept: how many tensors the carry has.
    """

    def __init__(self, graph: GraphModule, before: Sequence[Tensor], behind: Sequence[Tensor], kept: int) -> None:
        self._graph, self._before, self._behind, self._kept = graph, before, behind, kept
        self._plain = python_function(graph, reuse=True)
        self._length = min(BLOCK, max(1, MOST_NUMBERS // max((x.numel() for x in before), default=1)))

    def one(self, *more: Tensor) -> list[Tensor]:
        """Make a step, given its carry and its batch."""
        return self._plain(*self._before, *more, *self._behind)

    def several(self, carry: Sequence[Tensor], batches: Sequence[Sequence[Tensor]]) -> Iterator[list[Tensor]]:
        """Make one step for each batch, each from where the one before ended."""
        for begin in range(0, len(batches), self._length):
            for outputs in self._block(carry, batches[begin : begin + self._length]):
                carry = outputs[: self._kept]
                yield outputs

    def _block(self, carry: Sequence[Tensor], batches: Sequence[Sequence[Tensor]]) -> Iterator[list[Tensor]]:
        cut = self._cut if len(batches) >= SHORTEST else None
        if cut is None:
            for batch in batches:
                with torch.no_grad():
                    outputs = self.one(*carry, *batch)
                carry = outputs[: self._kept]
                yield outputs
            return
        for batch, ahead in zip(batches, cut.ahead(carry, len(batches)), strict=True):
            with torch.no_grad():
                outputs = cut.rest(*self._before, *carry, *batch, *self._behind, *ahead)
            carry = outputs[: self._kept]
            yield outputs

    @cached_property
    def _cut(self) -> "Cut | None":
        """The step cut in three, where that is worth it."""
        found = Cut(self._graph, self._before, self._behind, self._kept)
        return found if found.saved >= LEAST else None


class Cut:
    """A step without what depends on its number alone, and that apart.

    Attributes:
        saved: operations that are left out of a step.
        rest: the step, which takes behind its inputs what `ahead` gives.
    """

    def __init__(self, graph: GraphModule, before: Sequence[Tensor], behind: Sequence[Tensor], kept: int) -> None:
        given, found = inputs(graph), returned(graph)
        first, shapes = len(before), {Size(), *(x.shape for x in before)}
        self._fixed = [*before, *behind]
        fixed = [*given[:first], *given[len(given) - len(behind) :]]
        carry, results = given[first : first + kept], found[:kept]
        self._places = clock(graph, fixed, carry, results, shapes)
        hands, moved = [carry[i] for i in self._places], [results[i] for i in self._places]
        self._moved = fresh(moved, given)
        after = [moved[i] for i in self._moved]
        follow = following(graph, fixed, [*hands, *after], shapes)
        wanted = [node for node in follow if any(user not in follow for user in node.users)]
        self.saved = len(follow)
        self._shapes = [node.meta[VALUE].shape for node in wanted]
        self._read = [any(user in follow for user in node.users) for node in (*hands, *after)]
        self._tick = python_function(subgraph(graph, [*fixed, *hands], moved))
        self._at_once = python_function(subgraph(graph, [*fixed, *hands, *after], wanted))
        self.rest = python_function(subgraph(graph, [*given, *after, *wanted], found), reuse=True)

    def ahead(self, carry: Sequence[Tensor], steps: int) -> Iterator[list[Tensor]]:
        """Return for each step the clock after it and what follows."""
        with torch.no_grad():
            times = [[carry[i] for i in self._places]]
            for _ in range(steps):
                times.append(self._tick(*self._fixed, *times[-1]))
            after = [[time[i] for i in self._moved] for time in times[1:]]
            hands = zip(*([*old, *new] for old, new in zip(times, after, strict=False)), strict=True)
            beside = [side_by_side(x) if read else x[0] for x, read in zip(hands, self._read, strict=True)]
            found = self._at_once(*self._fixed, *beside)
        rows = [x.reshape(steps, *shape).unbind() for x, shape in zip(found, self._shapes, strict=True)]
        for new, *follow in zip(after, *rows, strict=True):
            yield [*new, *follow]


def fresh(nodes: Sequence[Node], known: Sequence[Node]) -> list[int]:
    """Return the places of nodes that are neither known nor stand before."""
    return [i for i, node in enumerate(nodes) if node not in known and node not in nodes[:i]]


def side_by_side(values: Sequence[Tensor]) -> Tensor:
    """Return scalars of several steps as a tensor [steps, runs], or [steps, 1] of what all runs have in common."""
    beside = torch.stack(list(values))
    return beside if beside.dim() > 1 else beside.unsqueeze(1)


def clock(
    graph: GraphModule, fixed: Sequence[Node], carry: Sequence[Node], results: Sequence[Node], shapes: set[Size]
) -> list[int]:
    """Return the places in the carry of its clock.

    Args:
        fixed: inputs that never change.
        carry, results: where the carry is taken, and where its next value is returned.
        shapes: of scalars.
    """
    places = [i for i, node in enumerate(carry) if node.meta[VALUE].shape in shapes]
    while True:
        known = determined(graph, [*fixed, *(carry[i] for i in places)])
        left = [i for i in places if results[i] in known]
        if left == places:
            return places
        places = left


def determined(graph: GraphModule, sources: Sequence[Node]) -> set[Node]:
    """Return the sources and what elementwise operations compute of them and of constants alone."""
    known = {*sources, *(node for node in graph.graph.nodes if node.op == "get_attr")}
    for node in graph.graph.nodes:
        if is_sure(node) and needs_only(node, known):
            known.add(node)
    return known


def is_sure(node: Node) -> bool:
    """Tell whether a node is an elementwise operation that draws nothing."""
    op = node.target
    return isinstance(op, OpOverload) and is_pointwise(op) and torch.Tag.nondeterministic_seeded not in op.tags


def following(graph: GraphModule, fixed: Sequence[Node], hands: Sequence[Node], shapes: set[Size]) -> list[Node]:
    """Return the operations on a clock's values, and on their results, that can be made for many steps at once."""
    still = {*fixed, *(node for node in graph.graph.nodes if node.op == "get_attr")}
    known = {*still, *hands}
    found: dict[Node, None] = {}
    for node in graph.graph.nodes:
        if node in known or not is_sure(node) or not needs_only(node, known):
            continue
        sources = node.all_input_nodes
        small = all(x.meta[VALUE].shape in shapes for x in (node, *sources))
        if small and not still.issuperset(sources) and same_everywhere(node) and is_of_one_type(node):
            known.add(node)
            found[node] = None
    return list(found)


def is_of_one_type(node: Node) -> bool:
    """Tell whether the numbers that a node reads have one dtype; else its result's would depend on their axes."""
    read = node.args[1:] if node.target is aten.where.self else node.all_input_nodes
    return len({x.meta[VALUE].dtype for x in read if isinstance(x, Node)}) == 1
