"""Turns a traced step into arithmetic between single numbers, of which a kernel is written.

A parameter of two entries becomes two single numbers; slices, stacks and gradients of slices vanish, because they only
say which number goes where. Compilers call it scalar replacement of aggregates (Muchnick, "Advanced Compiler Design and
Implementation", 1997, section 12.2).
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from descend.graph.compat import OpOverload, OpOverloadPacket, pytree
from descend.graph.operations import BY_INDEX, MOVEMENTS, SHAPES, is_pointwise
from descend.graph.recorder import VALUE, OneCall, Value, inputs, precision_of, record, unrecorded

MOST_ENTRIES = 16
"""A step whose largest tensor has more entries stays as it is: the program would grow with each of them."""

aten = torch.ops.aten

Entries = np.ndarray
"""A tensor as an array of objects, each of which is one entry: a tensor [], or another kind of number."""

PLACEMENT = ("dtype", "layout", "device", "memory_format", "pin_memory")
"""Keywords that place a tensor; they mean nothing for entries."""


class Inseparable(Exception):
    """A step has an operation that is more than arithmetic between entries."""


def small(graph: GraphModule) -> bool:
    """Tell whether every tensor of a traced step has few enough entries, and at least one."""
    values = [node.meta.get(VALUE) for node in graph.graph.nodes]
    return all(0 < x.numel <= MOST_ENTRIES for x in values if isinstance(x, Value))


def scalars(graph: GraphModule) -> GraphModule:
    """Return a traced step as a graph from the entries of its inputs, one after the other, to those of its outputs.

    Raises:
        Inseparable: naming the operation.
    """
    values: list[Value] = [node.meta[VALUE] for node in inputs(graph)]
    examples = [torch.ones((), dtype=x.dtype, device="cpu") for x in values for _ in range(x.numel)]

    def step(*entries: Tensor) -> list[Tensor]:
        rest = iter(entries)
        arrays = [array([next(rest) for _ in range(x.numel)], x.shape) for x in values]
        return [entry for output in EntryByEntry(graph).run(*arrays) for entry in output.flat]

    with torch.no_grad():
        return record(step, examples)


def array(values: Sequence[Any], shape: Sequence[int]) -> Entries:
    """Return objects in the shape given."""
    return np.fromiter(values, dtype=object, count=len(values)).reshape(tuple(shape))


def entries_of(x: Tensor) -> Entries:
    """Return the entries of a tensor."""
    return array([x[index] for index in np.ndindex(*x.shape)], x.shape)


class Entrywise(Interpreter):
    """Carries out a graph on entries instead of tensors, in the arithmetic that a subclass defines.

    Operations that only move entries, and those that depend on shapes alone, are the same in every arithmetic. Torch
    computes the values that depend on no entries.
    """

    def run_node(self, node: Node) -> Any:
        if isinstance(node.target, OneCall):
            raise Inseparable(str(node.target.__name__))
        if node.op != "call_function" or not isinstance(node.target, OpOverload):
            return super().run_node(node)
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        op, packet = node.target, node.target.overloadpacket
        if not any(isinstance(x, Entries) for x in pytree.tree_leaves((args, kwargs))):
            return self.constant(op(*args, **kwargs))
        if packet in SHAPES:
            return self.constant(of_shape_alone(op, args, kwargs, self.dtype(node)))
        if packet in MOVEMENTS or (packet in BY_INDEX and not contains_entries((args[1:], kwargs))):
            return moved(op, self.joinable(packet, args), kwargs, lambda x: self.placed(x, node))
        return self.compute(node, args, kwargs)

    def constant(self, x: Any) -> Any:
        """Return a value that torch computed without entries, in the form that other operations take."""
        return x

    def dtype(self, node: Node) -> torch.dtype:
        """Return the dtype of an operation's result."""
        raise NotImplementedError

    def joinable(self, packet: OpOverloadPacket, args: Sequence[Any]) -> Sequence[Any]:
        """Return the arguments of a movement, with entries in place of every tensor that it moves."""
        return args

    def placed(self, entry: Any | None, node: Node) -> Any:
        """Return an entry that was moved, in the form of the result; None is a zero that the movement added."""
        raise NotImplementedError

    def compute(self, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Carry out an operation that is arithmetic."""
        raise NotImplementedError


class EntryByEntry(Entrywise):
    """Carries out a traced step by torch's arithmetic of single numbers."""

    def get_attr(self, target: Any, args: Any, kwargs: Any) -> Entries:
        return entries_of(super().get_attr(target, args, kwargs))

    def constant(self, x: Any) -> Entries:
        return entries_of(x)

    def dtype(self, node: Node) -> torch.dtype:
        value = node.meta[VALUE]
        return (value if isinstance(value, Value) else value[0]).dtype

    def placed(self, entry: Any | None, node: Node) -> Tensor:
        dtype = self.dtype(node)
        return torch.zeros((), dtype=dtype, device="cpu") if entry is None else entry.to(dtype)

    def compute(self, node: Node, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        op: Any = node.target
        if is_pointwise(op):
            return _pointwise(node, args, kwargs)
        if op.overloadpacket in REDUCTIONS and not kwargs:
            return REDUCTIONS[op.overloadpacket](node.meta[VALUE], *args)
        raise Inseparable(str(op))


def contains_entries(tree: Any) -> bool:
    """Tell whether a tree contains entries."""
    return any(isinstance(x, Entries) for x in pytree.tree_leaves(tree))


def of_shape_alone(op: OpOverload, args: Sequence[Any], kwargs: dict[str, Any], dtype: torch.dtype) -> Tensor:
    """Return the result of an operation that depends on the shape of its first argument alone."""
    kwargs = {name: x for name, x in kwargs.items() if name not in PLACEMENT}
    return op(torch.empty(args[0].shape, dtype=dtype, device="cpu"), *args[1:], **kwargs)


def moved(op: OpOverload, args: Sequence[Any], kwargs: dict[str, Any], placed: Callable[[Any | None], Any]) -> Any:
    """Move entries like an operation moves the numbers 1, 2, …; 0 is a zero that the operation adds."""
    entries: list[Any] = [None]

    def numbered(x: Any) -> Any:
        if not isinstance(x, Entries):
            return x
        first = len(entries)
        entries.extend(x.flat)
        return torch.arange(first, len(entries), dtype=torch.int64, device="cpu").reshape(x.shape)

    kwargs = {name: x for name, x in kwargs.items() if name not in PLACEMENT}
    with unrecorded():
        given, keywords = pytree.tree_map(numbered, (list(args), kwargs))
        found = pytree.tree_map(lambda x: (x.flatten().tolist(), x.shape), op(*given, **keywords))
    return pytree.tree_map(
        lambda x: array([placed(entries[i]) for i in x[0]], x[1]), found, is_leaf=lambda x: isinstance(x, tuple)
    )


def _pointwise(node: Node, given: Sequence[Any], keywords: dict[str, Any]) -> Entries:
    """Apply the operation to each entry, in the precision that the whole tensors would have had."""
    op: Any = node.target
    values = [x.meta[VALUE] for x in node.all_input_nodes]
    precision, value = precision_of(values), node.meta[VALUE]
    leaves, spec = pytree.tree_flatten((given, keywords))
    spread = [np.broadcast_to(x, value.shape) if isinstance(x, Entries) else x for x in leaves]

    def at(index: tuple[int, ...]) -> Tensor:
        own = [_as(x[index], precision) if isinstance(x, Entries) else x for x in spread]
        args, kwargs = pytree.tree_unflatten(own, spec)
        return op(*args, **kwargs).to(value.dtype)

    return array([at(index) for index in np.ndindex(*value.shape)], value.shape)


def _as(x: Tensor, precision: torch.dtype | None) -> Tensor:
    return x.to(precision) if precision is not None and x.is_floating_point() else x


def _rows(value: Value, x: Entries, axes: Sequence[int] | None) -> Entries:
    """Return for each entry of a reduction over some axes, or all, the entries that go into it, as a row."""
    every = range(x.ndim)
    gone = {axis % x.ndim for axis in axes} if axes and x.ndim else set(every)
    kept = [axis for axis in every if axis not in gone]
    return x.transpose(*kept, *sorted(gone)).reshape(value.numel, -1)


def _total(numbers: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, numbers)


def _sum(value: Value, x: Entries, axes: Sequence[int] | None = None, keep: bool = False) -> Entries:
    """Sum in the dtype of the sum: booleans are counted."""
    return array([_total([entry.to(value.dtype) for entry in row]) for row in _rows(value, x, axes)], value.shape)


def _mean(value: Value, x: Entries, axes: Sequence[int] | None = None, keep: bool = False) -> Entries:
    return array([_total(row) / len(row) for row in _rows(value, x, axes)], value.shape)


def _reduction(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Entries]:
    """Return the reduction that combines entries over some axes, or all."""

    def reduction(value: Value, x: Entries, axes: Any = None, keep: bool = False) -> Entries:
        axes = [axes] if isinstance(axes, int) else axes
        return array([reduce(combine, row) for row in _rows(value, x, axes)], value.shape)

    return reduction


def _vector_norm(
    value: Value, x: Entries, order: float = 2, axes: Sequence[int] | None = None, keep: bool = False
) -> Entries:
    if order != 2:
        raise Inseparable("a norm other than ‖·‖₂")
    return array([_total([entry * entry for entry in row]).sqrt() for row in _rows(value, x, axes)], value.shape)


def _product(value: Value, x: Entries, y: Entries) -> Entries:
    """Multiply matrices and vectors."""
    rows, columns = x.reshape(-1, x.shape[-1]), y.reshape(len(y), -1).T
    found = [_total([a * b for a, b in zip(row, column, strict=True)]) for row in rows for column in columns]
    return array(found, value.shape)


def _cumulated(value: Value, x: Entries, axis: int) -> Entries:
    if x.ndim != 1:
        raise Inseparable("a cumulated sum along one of several axes")
    return array([_total(list(x[: i + 1])) for i in range(len(x))], value.shape)


REDUCTIONS: dict[OpOverloadPacket, Callable[..., Entries]] = {
    aten.sum: _sum,
    aten.mean: _mean,
    aten.amax: _reduction(torch.maximum),
    aten.amin: _reduction(torch.minimum),
    aten.all: _reduction(torch.logical_and),
    aten.any: _reduction(torch.logical_or),
    aten.linalg_vector_norm: _vector_norm,
    aten.dot: _product,
    aten.mv: _product,
    aten.mm: _product,
    aten.cumsum: _cumulated,
}
