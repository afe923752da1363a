"""Movements and reductions of many runs: they act on the axes of one run, beside the run axis."""

from collections.abc import Callable
from typing import Any

import torch
from torch.fx import Node

from descend.graph.compat import pytree
from descend.graph.many import Many, rank_of, runs_in, shaped, with_runs
from descend.graph.recorder import VALUE

aten = torch.ops.aten

VIEWS = {aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias}

StackRule = Callable[[Node, Any, Any, int], Any]
"""(node, args, kwargs, front) -> the node's operation on tensors of many runs; `front` is the number of run axes before
a run's own axes: 1 where the run axis is the first, 0 where it is the last."""


def axes(*places: int, sizes: int | None = None, wider: int = 0) -> StackRule:
    """Return the rule of an operation whose arguments name axes; these shift by the run axis where that is the first.

    Args:
        places: positions of the axes among the arguments.
        sizes: position of a shape among the arguments, to which the run axis is added.
        wider: 1 where an axis may also be the one after the last (`unsqueeze`, `stack`).
    """

    def rule(node: Node, args: Any, kwargs: Any, front: int) -> Any:
        op: Any = node.target
        rank, given = rank_of(node) + wider, list(args)
        if sizes is not None:
            rank = len(given[sizes])
        first = given[0] if isinstance(given[0], list | tuple) else [given[0]]
        runs = next(runs_in(x.x, front) for x in first if isinstance(x, Many))
        for place in places:
            given += [0] * (place - len(given) + 1)
            axis = given[place]
            moved = [a % max(rank, 1) + front for a in (axis if isinstance(axis, list | tuple) else [axis])]
            given[place] = moved if isinstance(axis, list | tuple) else moved[0]
        if sizes is not None:
            given[sizes] = shaped(given[sizes], runs, front)
        own = [with_runs(x, runs, front) for x in first]
        given[0] = own if isinstance(args[0], list | tuple) else own[0]
        return pytree.tree_map(Many, op(*given, **kwargs))

    return rule


def reshaped(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x = args[0].x
    return Many(x.reshape(shaped(node.meta[VALUE].shape, runs_in(x, front), front)))


def expanded(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x, shape = args[0].x, node.meta[VALUE].shape
    runs, own = runs_in(x, front), x.shape[1:] if front else x.shape[:-1]
    padded = x.reshape(shaped([*[1] * (len(shape) - len(own)), *own], runs, front))
    return Many(padded.expand(shaped(shape, runs, front)))


def permuted(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    order = [axis % len(args[1]) + front for axis in args[1]]
    return Many(args[0].x.permute([0, *order] if front else [*order, len(order)]))


def transposed(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x = args[0].x
    return Many(x.transpose(front, 1 + front) if x.dim() == 3 else x)


def per_entry(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    return args[0]


def reduction(name: str) -> StackRule:
    """Return the rule of a reduction over some axes, or all."""
    of_axes: Any = getattr(aten, name)
    overload = {"sum": "dim_IntList", "mean": "dim", "all": "dims", "any": "dims"}.get(name, "default")
    call = getattr(of_axes, overload)

    def rule(node: Node, args: Any, kwargs: Any, front: int) -> Many:
        x, rest = args[0].x, list(args[1:])
        leading = []
        if name == "linalg_vector_norm":
            leading = [rest.pop(0)] if rest else [2]
        rank = x.dim() - 1
        over = rest.pop(0) if rest else None
        over = [over] if isinstance(over, int) else over
        over = [axis % max(rank, 1) + front for axis in over or range(rank)] if rank else []
        keep = bool(rest and rest[0])
        if not over:  # a single number is reduced along an axis that is added for it
            return Many(call(x.unsqueeze(front), *leading, [front], False, **kwargs))
        return Many(call(x, *leading, over, keep, **kwargs))

    return rule


REDUCED = ("sum", "mean", "amax", "amin", "all", "any", "linalg_vector_norm")

RULES: dict[Any, StackRule] = {
    **dict.fromkeys((aten.alias, aten.clone, aten.detach, aten.lift_fresh, aten.lift_fresh_copy), per_entry),
    **dict.fromkeys((*VIEWS, aten.squeeze), reshaped),
    **{getattr(aten, name): reduction(name) for name in REDUCED},
    aten.expand: expanded,
    aten.permute: permuted,
    aten.t: transposed,
    aten.select: axes(1),
    aten.slice: axes(1),
    aten.unsqueeze: axes(1, wider=1),
    aten.cat: axes(1),
    aten.stack: axes(1, wider=1),
    aten.flip: axes(1),
    aten.cumsum: axes(1),
    aten.unbind: axes(1),
    **dict.fromkeys((aten.split, aten.unsafe_split, aten.split_with_sizes, aten.unsafe_split_with_sizes), axes(2)),
    aten.transpose: axes(1, 2),
    aten.select_backward: axes(2, sizes=1),
    aten.slice_backward: axes(2, sizes=1),
}
