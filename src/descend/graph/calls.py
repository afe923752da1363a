"""Ways to carry out an operation for many runs so that each run gets the bits that it gets alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from descend.graph.compat import OpOverload, memory, pytree, returns_new
from descend.graph.many import ALIGNED, PARALLEL, VECTORS, Many
from descend.graph.recorder import as_one_node


def in_whole_vectors(op: Any, args: Any, kwargs: Any) -> Tensor:
    """Carry out an elementwise operation on contiguous memory whose length is a multiple of `VECTORS`."""
    leaves, spec = pytree.tree_flatten((args, kwargs))
    shape = torch.broadcast_shapes(*[x.shape for x in leaves if isinstance(x, Tensor)])
    count = shape.numel()
    spare = -count % VECTORS

    def flat(x: Any) -> Any:
        if not isinstance(x, Tensor) or not x.dim():
            return x
        whole = x.expand(shape).contiguous().view(-1)
        return torch.cat([whole, whole[:1].expand(spare)]) if spare else whole

    given = [flat(x) for x in leaves]
    size = PARALLEL if torch.get_num_threads() > 1 else count + spare
    parts = []
    for at in range(0, count + spare, max(size, 1)):
        piece = [x[at : at + size] if isinstance(x, Tensor) and x.dim() and size < count + spare else x for x in given]
        positional, keywords = pytree.tree_unflatten(piece, spec)
        parts.append(op(*positional, **keywords))
    found = parts[0] if len(parts) == 1 else torch.cat(parts)
    return (found[:count] if spare else found).view(shape)


def by_vmap(op: Any, args: Any, kwargs: Any, axis: int) -> Any:
    """Carry out an operation by torch's own rule for many runs, `torch.vmap`."""
    leaves, spec = pytree.tree_flatten((args, kwargs))
    places = [i for i, x in enumerate(leaves) if isinstance(x, Many)]

    def one(*own: Tensor) -> Any:
        filled = list(leaves)
        for i, x in zip(places, own, strict=True):
            filled[i] = x
        positional, keywords = pytree.tree_unflatten(filled, spec)
        found = op(*positional, **keywords)
        return tuple(found) if isinstance(found, list) else found

    found = torch.vmap(one, in_dims=axis, out_dims=axis)(*[leaves[i].x for i in places])
    return pytree.tree_map(Many, found)


def run_by_run(op: Any, args: Any, kwargs: Any) -> Any:
    """Carry out an operation for one run after the other and stack the results; the graph has one node for all."""
    fresh = isinstance(op, OpOverload) and returns_new(op)
    if kwargs or any(isinstance(x, Many) for arg in args if isinstance(arg, list | tuple) for x in arg):
        args, op = of_leaves(op, args, kwargs)
    places = [i for i, x in enumerate(args) if isinstance(x, Many)]
    given = [x.x if isinstance(x, Many) else x for x in args]

    def each(*given: Any) -> Any:
        return call_by_call(op, places, fresh, *given)

    found = as_one_node(each, *given)
    return pytree.tree_map(lambda x: Many(x) if isinstance(x, Tensor) else x, found)


def of_leaves(op: Any, args: Any, kwargs: Any) -> tuple[Sequence[Any], Any]:
    """Return the leaves of an operation's arguments, and the operation as a function of them."""
    leaves, spec = pytree.tree_flatten((args, kwargs))

    def called(*leaves: Any) -> Any:
        positional, keywords = pytree.tree_unflatten(leaves, spec)
        return op(*positional, **keywords)

    return leaves, called


def call_by_call(op: Any, places: Sequence[int], fresh: bool, *given: Any) -> Any:
    """Carry out an operation for each run, on memory that is aligned like the run's own.

    Args:
        places: where the arguments are that differ between runs.
        fresh: whether the results are known to lie in memory of their own.
    """
    found, own = [], list(given)
    for run in range(len(given[places[0]])):
        for i in places:
            own[i] = dense_and_aligned(given[i][run])
        found.append(op(*own))
    held = set() if fresh else {memory(x) for x in given if isinstance(x, Tensor)}
    if isinstance(found[0], Tensor):
        return beside(found, held)
    return [beside(x, held) if isinstance(x[0], Tensor) else x[0] for x in zip(*found, strict=True)]


def beside(found: Sequence[Tensor], given: set[int]) -> Tensor:
    """Return the results of the runs in one tensor, whose memory is none of those given; that of one run as it is."""
    [first, *more] = found
    alone = not more and (not given or memory(first) not in given)
    return first.contiguous().unsqueeze(0) if alone else torch.stack(list(found))


def dense_and_aligned(x: Tensor) -> Tensor:
    """Return one run's tensor, dense and at an aligned address."""
    placed = x.is_contiguous() and x.storage_offset() * x.element_size() % ALIGNED == 0
    return x if placed else x.clone(memory_format=torch.contiguous_format)
