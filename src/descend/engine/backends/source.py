"""The C source of a small step over many runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from descend.engine.backends.expressions import TYPES, expression, literal
from descend.graph.entries import Inseparable, scalars
from descend.graph.recorder import VALUE, Value, depends, inputs, returned

# Runs taken together in the inner loop: several vectors of them, so that slow divisions of one overlap with the others.
LANES = 128

HEADER = """\
#include <math.h>
#include <stdint.h>
#include <string.h>
#include <tgmath.h>
#ifdef __SSE2__
#include <xmmintrin.h>
#endif

/* glibc has these for whole vectors of numbers. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define OF_VECTORS(name) \\
  __attribute__((__simd__("notinbranch"))) double (name)(double); \\
  __attribute__((__simd__("notinbranch"))) float (name##f)(float);
OF_VECTORS(exp) OF_VECTORS(log) OF_VECTORS(sin) OF_VECTORS(cos)
#if __GLIBC_PREREQ(2, 35)
OF_VECTORS(tanh) OF_VECTORS(expm1) OF_VECTORS(log1p) OF_VECTORS(erf)
#endif
#endif

#define LANES %d
#define LANE(l) ((l) < lanes ? (l) : 0) /* the last runs may fill some lanes only: the others repeat a run */

void advance(int64_t runs, int64_t first, int64_t last, int64_t steps, const char *kept, void *const *in,
             void *const *out, void *const *rows) {
#ifdef __SSE2__
/* What is below the smallest normal number is 0, as on most accelerators: arithmetic on it takes twice the time. */
const unsigned mode = _mm_getcsr();
_mm_setcsr(mode | 0x8040);
#endif
for (int64_t run = first; run < last; run += LANES) {
const int lanes = last - run < LANES ? last - run : LANES;
int64_t row = 0;"""

FOOTER = """\
#ifdef __SSE2__
_mm_setcsr(mode);
#endif
}
"""


@dataclass(frozen=True)
class Step:
    """A step that a kernel is to take.

    Args:
        graph: the step of one run, traced, without a batch.
        differs: for each of its inputs, whether it differs between runs.
        numbers: how many of its inputs are numbers; the others are its carry, as are its first outputs.
        recorded: which of its outputs are wanted from every step that is recorded.
        watched: which of these, each [], are watched for their lowest value; the first also for being finite.
        lanes: how many runs are taken together in the inner loop; 1 where there is one run.
    """

    graph: GraphModule
    differs: Sequence[bool]
    numbers: int
    recorded: Sequence[int]
    watched: Sequence[int]
    lanes: int = LANES

    @property
    def inputs(self) -> list[Value]:
        """What is known of its inputs, for one run."""
        return [node.meta[VALUE] for node in inputs(self.graph)]

    @property
    def outputs(self) -> list[Value]:
        """What is known of its outputs, for one run."""
        return [node.meta[VALUE] for node in returned(self.graph)]


class Entry(NamedTuple):
    """One entry of a tensor that goes into a step or comes out of it.

    Attributes:
        tensor, at: which tensor, and which of its entries.
        size: how many entries the tensor has.
        type: in C.
        node: in the graph of entries.
        differs: whether the tensor differs between runs.
    """

    tensor: int
    at: int
    size: int
    type: str
    node: Node
    differs: bool


class Source:
    """Writes the source.

    A name `s…` holds a number from step to step, `x…` is its value before a step, `v…` is computed within one, `r…` is
    recorded, `w…` is the lowest value so far; what differs between runs has LANES places.

    Raises:
        Inseparable: the step is more than arithmetic between entries.
    """

    def __init__(self, step: Step) -> None:
        self._step, self._inputs, self._outputs = step, step.inputs, step.outputs
        self._scalars = scalars(step.graph)
        self._in = entries(self._inputs, step.differs, inputs(self._scalars))
        self._out = entries(self._outputs, depends(step.graph, step.differs), returned(self._scalars))
        self._carry = len(self._inputs) - step.numbers
        first = sum(entry.tensor < step.numbers for entry in self._in)
        self._state = [(i, *pair) for i, pair in enumerate(zip(self._in[first:], self._out, strict=False), first)]
        self._wanted = list(enumerate(entry for entry in self._out if entry.tensor in step.recorded))
        if any(self._outputs[i].shape for i in step.watched):
            raise ValueError("What is watched for its lowest value must be one number.")
        self._lowest = list(enumerate(entry for i in step.watched for entry in self._out if entry.tensor == i))
        self._names = {entry.node: f"x{i}" for i, entry in enumerate(self._in)}
        self._lanes = {entry.node for entry in self._in if entry.differs}
        self._constants: dict[Node, Tensor] = {}

    def lines(self) -> Iterator[str]:
        """Yield the source, line by line."""
        once, of_lanes = self._statements()
        yield HEADER % self._step.lanes
        yield from self._load()
        yield "for (int64_t step = 0; step < steps; step++) {"
        yield from (f"const {e.type} x{i} = s{i};" for i, e in enumerate(self._in) if not e.differs)
        yield from once
        yield "for (int l = 0; l < LANES; l++) {"
        yield from (f"const {e.type} x{i} = s{i}[l];" for i, e in enumerate(self._in) if e.differs)
        yield from of_lanes
        yield from self._keep()
        yield "}"
        yield from self._pass_on(False)
        yield from self._record()
        yield "}"
        yield from self._store()
        yield "}"
        yield FOOTER

    def _statements(self) -> tuple[list[str], list[str]]:
        """Return what is computed once for all runs in a step, and what for each."""
        once: list[str] = []
        of_lanes: list[str] = []
        for node in self._scalars.graph.nodes:
            if node.op == "get_attr":
                self._constants[node] = getattr(self._scalars, str(node.target))
            elif node.op == "call_function":
                if all(x in self._constants for x in node.all_input_nodes):
                    self._constants[node] = self._constant(node)
                    continue
                self._names[node] = f"v{len(self._names)}"
                differs = any(x in self._lanes for x in node.all_input_nodes)
                if differs:
                    self._lanes.add(node)
                type_ = c_type(node.meta[VALUE])
                statement = f"const {type_} {self._names[node]} = {expression(node, self._written)};"
                (of_lanes if differs else once).append(statement)
        return once, of_lanes

    def _constant(self, node: Node) -> Tensor:
        op: Any = node.target
        args, kwargs = torch.fx.node.map_arg((node.args, dict(node.kwargs)), lambda x: self._constants[x])
        return op(*args, **kwargs)

    def _written(self, x: Any, dtype: torch.dtype) -> str:
        """Write a node or a number as a value of a type."""
        if not isinstance(x, Node):
            return literal(x, dtype)
        if x in self._constants:
            number: Any = self._constants[x].tolist()
            return literal(number, dtype)
        if x not in self._names or x.meta[VALUE].shape:
            raise Inseparable(f"{x} is no number")
        return self._names[x] if x.meta[VALUE].dtype == dtype else f"(({TYPES[dtype]}){self._names[x]})"

    def _load(self) -> Iterator[str]:
        for i, entry in enumerate(self._in):
            pointer = f"((const {entry.type} *)in[{entry.tensor}])"
            if entry.differs:
                yield f"{entry.type} s{i}[LANES];"
                yield f"for (int l = 0; l < LANES; l++) s{i}[l] = {pointer}[{entry.at} * runs + run + LANE(l)];"
            else:
                yield f"{entry.type} s{i} = {pointer}[{entry.at}];"
        for i, entry in self._wanted:
            yield f"{entry.type} r{i}[LANES];"
        for i, entry in self._lowest:
            yield f"{entry.type} w{i}[LANES];"
            yield f"for (int l = 0; l < LANES; l++) w{i}[l] = INFINITY;"
        for _, entry in self._lowest[:1]:
            yield f"{entry.type} finite[LANES] = {{0}};"

    def _keep(self) -> Iterator[str]:
        """Yield what is noted of a step's outcome for each run, and passed on to the next."""
        for i, entry in self._wanted:
            yield f"r{i}[l] = {self._written(entry.node, self._outputs[entry.tensor].dtype)};"
        for i, entry in self._lowest:
            value = self._written(entry.node, self._outputs[entry.tensor].dtype)
            yield f"w{i}[l] = {value} < w{i}[l] && {value} > -INFINITY ? {value} : w{i}[l];"
            if i == 0:
                yield f"finite[l] += {value} - {value};"  # 0, or else NaN for good
        yield from self._pass_on(True)

    def _pass_on(self, differs: bool) -> Iterator[str]:
        """Yield how the carry goes on to the next step: what differs between runs, or what does not."""
        for i, entry, after in self._state:
            if entry.differs == differs:
                value = self._written(after.node, self._inputs[entry.tensor].dtype)
                yield f"s{i}{'[l]' if differs else ''} = {value};"

    def _record(self) -> Iterator[str]:
        yield "if (kept[step]) {"
        for i, entry in self._wanted:
            pointer = f"(({entry.type} *)rows[{self._step.recorded.index(entry.tensor)}])"
            place = f"{pointer} + (row * {entry.size} + {entry.at}) * runs + run"
            yield f"memcpy({place}, r{i}, lanes * sizeof({entry.type}));"
        yield "row++;"
        yield "}"

    def _store(self) -> Iterator[str]:
        for i, entry, after in self._state:
            pointer = f"(({entry.type} *)out[{after.tensor}])"
            if entry.differs:
                yield f"memcpy({pointer} + {entry.at} * runs + run, s{i}, lanes * sizeof({entry.type}));"
            else:
                yield f"if (run == 0) {pointer}[{entry.at}] = s{i};"
        for i, entry in self._lowest:
            yield f"memcpy(({entry.type} *)out[{self._carry + i}] + run, w{i}, lanes * sizeof({entry.type}));"
        if self._lowest:
            end = self._carry + len(self._lowest)
            yield f"for (int l = 0; l < lanes; l++) ((_Bool *)out[{end}])[run + l] = finite[l] == 0;"


def entries(values: Sequence[Value], differs: Sequence[bool], nodes: Sequence[Node]) -> list[Entry]:
    """Return the entries of tensors, one after the other, as the nodes hold them."""
    places = [(i, at, x.numel, c_type(x)) for i, x in enumerate(values) for at in range(x.numel)]
    return [Entry(*place, node, differs[place[0]]) for place, node in zip(places, nodes, strict=True)]


def c_type(value: Value) -> str:
    """Return the type of a tensor's numbers in C.

    Raises:
        Inseparable: C has none.
    """
    if value.dtype not in TYPES:
        raise Inseparable(f"numbers of type {value.dtype}")
    return TYPES[value.dtype]
