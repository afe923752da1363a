"""The C source of a small step over many runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from descend.engine.backends.expressions import TYPES, computes_in, expression, literal
from descend.engine.backends.lanes import OF_TWO, ONE, Lanes, call_of_one, without_calls
from descend.graph.entries import Inseparable, scalars
from descend.graph.recorder import VALUE, Value, depends, inputs, returned

# Runs taken together in the inner loop: several vectors of them, so that slow divisions of one overlap with the others.
LANES = 128
FEW_LANES = 32
"""The same where there are no more runs: a multiple of every vector's length, as `LANES` is."""

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

/* A function of the math library for each of n numbers, n a multiple of a vector's length; and for one number. */
#define OF_ONE(f, T) \\
static __attribute__((noinline)) void each_##f##_##T(T *x, int n) { for (int l = 0; l < n; l++) x[l] = f(x[l]); } \\
static inline T one_##f##_##T(T x) \\
{ T a[16]; for (int l = 0; l < 16; l++) a[l] = x; each_##f##_##T(a, 16); return a[0]; }
#define OF_TWO(f, T) \\
static __attribute__((noinline)) void each_##f##_##T(T *x, const T *y, int n) \\
{ for (int l = 0; l < n; l++) x[l] = f(x[l], y[l]); } \\
static inline T one_##f##_##T(T x, T y) \\
{ T a[16], b[16]; for (int l = 0; l < 16; l++) { a[l] = x; b[l] = y; } each_##f##_##T(a, b, 16); return a[0]; }
%s
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
class KernelStep:
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
        """The values of its inputs, for one run."""
        return [node.meta[VALUE] for node in inputs(self.graph)]

    @property
    def outputs(self) -> list[Value]:
        """The values of its outputs, for one run."""
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


class KernelSource:
    """Writes the source.

    A name `s…` holds a number from step to step, `x…` is its value before a step, `v…` is computed within one, `r…` is
    recorded, `w…` is the lowest value so far; what differs between runs has LANES places.

    Raises:
        Inseparable: the step is more than arithmetic between entries.
    """

    def __init__(self, step: KernelStep) -> None:
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
        once, lanes = self._statements()
        functions = sorted({call.group(1, 2) for text in once for call in ONE.finditer(text)} | lanes.functions)
        made = "\n".join(f"OF_{'TWO' if f in OF_TWO else 'ONE'}({f}, {T})" for f, T in functions)
        yield HEADER % (self._step.lanes, made)
        yield from self._load()
        yield "for (int64_t step = 0; step < steps; step++) {"
        yield from (f"const {e.type} x{i} = s{i};" for i, e in enumerate(self._in) if not e.differs)
        yield from once
        loaded = {f"x{i}": f"const {e.type} x{i} = s{i}[l];" for i, e in enumerate(self._in) if e.differs}
        yield from lanes.lines(loaded, list(self._keep()))
        yield from self._pass_on(False)
        yield from self._record()
        yield "}"
        yield from self._store()
        yield "}"
        yield FOOTER

    def _statements(self) -> tuple[list[str], Lanes]:
        """Return what is computed once for all runs in a step, and what for each."""
        once: list[str] = []
        lanes = Lanes()
        for node in self._scalars.graph.nodes:
            if node.op == "get_attr":
                self._constants[node] = getattr(self._scalars, str(node.target))
            elif node.op == "call_function":
                if all(x in self._constants for x in node.all_input_nodes):
                    self._constants[node] = self._constant(node)
                    continue
                name = self._names[node] = f"v{len(self._names)}"
                type_, text = c_type(node.meta[VALUE]), expression(node, self._written)
                computed = TYPES.get(computes_in(node), "double")
                if any(x in self._lanes for x in node.all_input_nodes):
                    self._lanes.add(node)
                    lanes.add(name, type_, text, computed)
                else:
                    text = without_calls(text, partial(call_of_one, computed))
                    once.append(f"const {type_} {name} = {text};")
        return once, lanes

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
