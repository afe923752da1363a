"""A traced step taken entry by entry, so that the compiler keeps the numbers of small problems in registers.

Over many runs a parameter of two numbers is a tensor [2, runs]. Compiled as such, slices of it become masked loops, and
what several steps hand to each other goes through memory. Here each entry is a tensor [runs] of its own, all steps of a
block are arithmetic between such tensors, and the compiler makes one loop over the runs of them: its kernel took half
to a third of the time for Adam on Rosenbrock-2 with 1,024 and 16,384 learning rates, on a busy machine. Compilers call
it scalar replacement of aggregates (Muchnick, "Advanced Compiler Design and Implementation", 1997, section 12.2).
"""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
import torch.utils._pytree as pytree
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule, Interpreter, Node

MOST_ENTRIES = 16
"""A step whose largest tensor has more entries stays as it is: the program would grow with each of them."""

aten = torch.ops.aten

# What they return holds entries of their inputs, or zero: asked of the entries' numbers, they say which go where.
MOVEMENTS = {
    aten.alias, aten.cat, aten.clone, aten.detach, aten.diagonal, aten.expand, aten.flip,
    aten.lift_fresh_copy, aten.permute, aten.reshape, aten.roll, aten.select, aten.select_backward, aten.slice,
    aten.slice_backward, aten.split, aten.split_with_sizes, aten.squeeze, aten.stack, aten.t, aten.transpose,
    aten.unbind, aten.unsqueeze, aten.view, aten._unsafe_view,
}  # fmt: skip

Entries = np.ndarray
"""One run's tensor as an array of objects, each a tensor that holds one entry: [] for all runs, or [runs]."""


def small(graph: GraphModule) -> bool:
    """Tell whether every tensor of a traced step has few enough entries, and at least one."""
    values = [node.meta.get("val") for node in graph.graph.nodes]
    return all(0 < x.numel() <= MOST_ENTRIES for x in pytree.tree_leaves(values) if isinstance(x, Tensor))


def split(x: Tensor, differs: bool) -> Entries:
    """Return the entries of a tensor, whose last axis is that of the runs where it `differs` between them."""
    shape = x.shape[:-1] if differs else x.shape
    return array([x[index] for index in np.ndindex(*shape)], shape)


def join(entries: Entries, differs: bool, runs: int) -> Tensor:
    """Return the tensor of these entries; the axis of the runs is last where it `differs` between them."""
    flat = [x.expand(runs) if differs and not x.dim() else x for x in entries.flat]
    return torch.stack(flat).reshape(*entries.shape, *flat[0].shape) if entries.ndim else flat[0]


def array(values: Sequence[Any], shape: Sequence[int]) -> Entries:
    """Return objects in the shape given."""
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found.reshape(tuple(shape))


class EntryByEntry(Interpreter):
    """Carries out a traced step of one run on entries instead of tensors.

    Args:
        graph: as `descend.training.compiled.trace` returns it: each node's value is known by example.
    """

    def run_node(self, node: Node) -> Any:
        if node.op == "get_attr":
            return split(super().run_node(node), False)
        if node.op != "call_function" or not isinstance(node.target, OpOverload):
            return super().run_node(node)
        inputs, keywords = self.fetch_args_kwargs_from_env(node)
        example = pytree.tree_map(lambda x: x.meta["val"] if isinstance(x, Node) else x, (node.args, node.kwargs))
        value, packet = node.meta["val"], node.target.overloadpacket
        if not any(isinstance(x, Entries) for x in pytree.tree_leaves((inputs, keywords))):
            return pytree.tree_map(lambda x: split(x, False), node.target(*inputs, **keywords))
        if torch.Tag.pointwise in node.target.tags:
            return _pointwise(node.target, inputs, keywords, example, value)
        if packet in MOVEMENTS:
            return _moved(node.target, inputs, keywords, value)
        if packet is aten.sum and isinstance(value, Tensor):
            return _summed(inputs[0], inputs[1] if len(inputs) > 1 else None, value)
        if packet is aten.dot:
            return array([_total([x * y for x, y in zip(*inputs, strict=True)])], ())
        return _together(node.target, inputs, keywords)


def _pointwise(op: OpOverload, inputs: Sequence[Any], keywords: dict[str, Any], example: Any, value: Tensor) -> Entries:
    """Apply the operation to each entry, in the precision that the whole tensors would have had."""
    precision = _precision([x for x in pytree.tree_leaves(example) if isinstance(x, Tensor) and x.is_floating_point()])
    leaves, spec = pytree.tree_flatten((inputs, keywords))
    spread = [np.broadcast_to(x, value.shape) if isinstance(x, Entries) else x for x in leaves]

    def at(index: tuple[int, ...]) -> Tensor:
        own = [_as(x[index], precision) if isinstance(x, Entries) else x for x in spread]
        args, kwargs = pytree.tree_unflatten(own, spec)
        return op(*args, **kwargs).to(value.dtype)

    return array([at(index) for index in np.ndindex(*value.shape)], value.shape)


def _precision(floats: Sequence[Tensor]) -> torch.dtype | None:
    """Return the precision in which torch computes with these; a number [] has no say beside a tensor that has axes."""
    decisive = [x.dtype for x in floats if x.dim()] or [x.dtype for x in floats]
    return reduce(torch.promote_types, decisive) if decisive else None


def _as(x: Tensor, precision: torch.dtype | None) -> Tensor:
    return x.to(precision) if precision is not None and x.is_floating_point() else x


def _moved(op: OpOverload, inputs: Sequence[Any], keywords: dict[str, Any], value: Any) -> Any:
    """Ask the operation where it puts the numbers 1, 2, …, and put the entries there; 0 is a zero it made itself."""
    entries: list[Tensor] = []

    def numbered(x: Any) -> Any:
        if not isinstance(x, Entries):
            return x
        first = len(entries) + 1
        entries.extend(x.flat)
        return torch.arange(first, len(entries) + 1, dtype=torch.int64, device="cpu").reshape(x.shape)

    args, kwargs = pytree.tree_map(numbered, (list(inputs), keywords))
    kwargs = {name: x for name, x in kwargs.items() if name not in ("dtype", "layout", "device", "memory_format")}
    like = pytree.tree_leaves(value)[0]
    zero = torch.zeros((), dtype=like.dtype, device=like.device)

    def placed(x: Tensor) -> Entries:
        return array([entries[i - 1].to(like.dtype) if i else zero for i in x.flatten().tolist()], x.shape)

    return pytree.tree_map(placed, op(*args, **kwargs))


def _summed(x: Entries, axes: Sequence[int] | None, value: Tensor) -> Entries:
    """Sum over some axes, or all, in the dtype of the sum: truth values are counted."""
    every = range(x.ndim)
    gone = {axis % x.ndim for axis in axes} if axes and x.ndim else set(every)
    kept = [axis for axis in every if axis not in gone]
    rows = x.transpose(*kept, *sorted(gone)).reshape(value.numel(), -1)
    return array([_total([entry.to(value.dtype) for entry in row]) for row in rows], value.shape)


def _total(numbers: Sequence[Tensor]) -> Tensor:
    total = numbers[0]
    for x in numbers[1:]:
        total = total + x
    return total


def _together(op: OpOverload, inputs: Sequence[Any], keywords: dict[str, Any]) -> Any:
    """Carry out any other operation on whole tensors, stacked over the runs where any of them differs."""
    leaves, spec = pytree.tree_flatten((inputs, keywords))
    places = [i for i, x in enumerate(leaves) if isinstance(x, Entries)]

    def one(*tensors: Tensor) -> Any:
        filled = list(leaves)
        for i, x in zip(places, tensors, strict=True):
            filled[i] = x
        args, kwargs = pytree.tree_unflatten(filled, spec)
        return op(*args, **kwargs)

    arrays = [leaves[i] for i in places]
    runs = max((len(x) for entries in arrays for x in entries.flat if x.dim()), default=0)
    whole = [join(entries, bool(runs), runs) for entries in arrays]
    found = torch.vmap(one, in_dims=-1, out_dims=-1)(*whole) if runs else one(*whole)
    return pytree.tree_map(lambda x: split(x, bool(runs)), found)
