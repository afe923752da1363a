"""A traced step taken entry by entry: arithmetic between single numbers, such as a kernel is written of.

A parameter of two numbers becomes two numbers of their own; slices, stacks and gradients of slices vanish, for they
only say which number goes where. Compilers call it scalar replacement of aggregates (Muchnick, "Advanced Compiler
Design and Implementation", 1997, section 12.2).
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from descend.graph.compat import OpOverload, OpOverloadPacket, pytree
from descend.graph.recorder import VALUE, Value, inputs, record, unrecorded

MOST_ENTRIES = 16
"""A step whose largest tensor has more entries stays as it is: the program would grow with each of them."""

aten = torch.ops.aten

# What they return holds entries of their inputs, or zero: asked of the entries' numbers, they say which go where.
MOVEMENTS = {
    aten.alias, aten.cat, aten.clone, aten.detach, aten.diagonal, aten.expand, aten.flip, aten.lift_fresh,
    aten.lift_fresh_copy, aten.permute, aten.reshape, aten.roll, aten.select, aten.select_backward, aten.slice,
    aten.slice_backward, aten.split, aten.split_with_sizes, aten.squeeze, aten.stack, aten.t, aten.transpose,
    aten.unbind, aten.unsqueeze, aten.view, aten._unsafe_view,
}  # fmt: skip

# They work on each entry by itself, though torch does not tag them so.
POINTWISE = {aten._to_copy, aten.floor_divide}

# What they return depends on the shape of their input alone.
CONSTANTS = {aten.ones_like, aten.zeros_like, aten.full_like, aten.new_zeros, aten.new_ones, aten.new_full}

Entries = np.ndarray
"""One run's tensor as an array of objects, each a tensor [] that holds one entry."""


class Inseparable(Exception):
    """A step has an operation that is more than arithmetic between entries."""


def small(graph: GraphModule) -> bool:
    """Tell whether every tensor of a traced step has few enough entries, and at least one."""
    values = [node.meta.get(VALUE) for node in graph.graph.nodes]
    return all(0 < x.numel <= MOST_ENTRIES for x in values if isinstance(x, Value))


def scalars(graph: GraphModule) -> GraphModule:
    """Return a traced step as one from the entries of its inputs, one after the other, to those of its outputs.

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
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found.reshape(tuple(shape))


def entries_of(x: Tensor) -> Entries:
    """Return the entries of a tensor."""
    return array([x[index] for index in np.ndindex(*x.shape)], x.shape)


class EntryByEntry(Interpreter):
    """Carries out a traced step on entries instead of tensors."""

    def run_node(self, node: Node) -> Any:
        if node.op == "get_attr":
            return entries_of(super().run_node(node))
        if node.op != "call_function" or not isinstance(node.target, OpOverload):
            return super().run_node(node)
        given, keywords = self.fetch_args_kwargs_from_env(node)
        op, packet, value = node.target, node.target.overloadpacket, node.meta[VALUE]
        if not any(isinstance(x, Entries) for x in pytree.tree_leaves((given, keywords))):
            return entries_of(op(*given, **keywords))
        if torch.Tag.pointwise in op.tags or packet in POINTWISE:
            return _pointwise(node, given, keywords)
        if packet in MOVEMENTS:
            return _moved(op, given, keywords, value)
        if packet in CONSTANTS:
            like = torch.empty(given[0].shape, dtype=value.dtype, device="cpu")
            return entries_of(op(like, *given[1:], **keywords))
        if packet in REDUCTIONS and not keywords:
            return REDUCTIONS[packet](value, *given)
        raise Inseparable(str(op))


def _pointwise(node: Node, given: Sequence[Any], keywords: dict[str, Any]) -> Entries:
    """Apply the operation to each entry, in the precision that the whole tensors would have had."""
    op: Any = node.target
    values = [x.meta[VALUE] for x in node.all_input_nodes]
    precision, value = _precision([x for x in values if x.dtype.is_floating_point]), node.meta[VALUE]
    leaves, spec = pytree.tree_flatten((given, keywords))
    spread = [np.broadcast_to(x, value.shape) if isinstance(x, Entries) else x for x in leaves]

    def at(index: tuple[int, ...]) -> Tensor:
        own = [_as(x[index], precision) if isinstance(x, Entries) else x for x in spread]
        args, kwargs = pytree.tree_unflatten(own, spec)
        return op(*args, **kwargs).to(value.dtype)

    return array([at(index) for index in np.ndindex(*value.shape)], value.shape)


def _precision(floats: Sequence[Value]) -> torch.dtype | None:
    """Return the precision in which torch computes with these; a number [] has no say beside a tensor that has axes."""
    decisive = [x.dtype for x in floats if x.shape] or [x.dtype for x in floats]
    return reduce(torch.promote_types, decisive) if decisive else None


def _as(x: Tensor, precision: torch.dtype | None) -> Tensor:
    return x.to(precision) if precision is not None and x.is_floating_point() else x


def _moved(op: OpOverload, given: Sequence[Any], keywords: dict[str, Any], value: Value | list[Value]) -> Any:
    """Ask the operation where it puts the numbers 1, 2, …, and put the entries there; 0 is a zero it made itself."""
    entries: list[Tensor] = []

    def numbered(x: Any) -> Any:
        if not isinstance(x, Entries):
            return x
        first = len(entries) + 1
        entries.extend(x.flat)
        return torch.arange(first, len(entries) + 1, dtype=torch.int64, device="cpu").reshape(x.shape)

    kwargs = {name: x for name, x in keywords.items() if name not in ("dtype", "layout", "device", "memory_format")}
    dtype = (value if isinstance(value, Value) else value[0]).dtype
    zero = torch.zeros((), dtype=dtype, device="cpu")
    with unrecorded():
        args, kwargs = pytree.tree_map(numbered, (list(given), kwargs))
        places = pytree.tree_map(lambda x: np.array(x.tolist()), op(*args, **kwargs))
    return pytree.tree_map(lambda x: array([entries[i - 1].to(dtype) if i else zero for i in x.flat], x.shape), places)


def _rows(value: Value, x: Entries, axes: Sequence[int] | None) -> Entries:
    """Return for each entry of a reduction over some axes, or all, the entries that go into it, as a row."""
    every = range(x.ndim)
    gone = {axis % x.ndim for axis in axes} if axes and x.ndim else set(every)
    kept = [axis for axis in every if axis not in gone]
    return x.transpose(*kept, *sorted(gone)).reshape(value.numel, -1)


def _total(numbers: Sequence[Tensor]) -> Tensor:
    return reduce(torch.add, numbers)


def _sum(value: Value, x: Entries, axes: Sequence[int] | None = None, keep: bool = False) -> Entries:
    """Sum in the dtype of the sum: truth values are counted."""
    return array([_total([entry.to(value.dtype) for entry in row]) for row in _rows(value, x, axes)], value.shape)


def _mean(value: Value, x: Entries, axes: Sequence[int] | None = None, keep: bool = False) -> Entries:
    return array([_total(row) / len(row) for row in _rows(value, x, axes)], value.shape)


def _reduction(combine: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Entries]:
    """Return what combines entries over some axes, or all."""

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
