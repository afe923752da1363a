"""One step of one run made into one step of many, so that every run gets the bits that it gets alone.

The graph of one run is carried out operation by operation on tensors that have one axis more, the run axis, and what
this does is recorded as a new graph. The run axis stands last for small functions (one entry of a parameter lies side
by side for all runs, and vectorises) and first for all others (matrix products of many runs are one batched product).

Equality to the bit rests on three rules, each held by `tests/graph/test_stack.py`:

- Elementwise operations give a number the same result wherever it lies in memory. Those in `STEADY` do so as they are.
  The others round differently in the body of a loop (vectors) and in its tail (one by one): they are computed on
  contiguous memory whose length is a multiple of `VECTORS`, so that there is no tail.
- With the run axis last, the number of runs is a multiple of `VECTORS`: reductions over a run's entries have no tail.
- With the run axis first, matrix products are batched only where every matrix begins at an aligned address; whatever is
  not known to be safe is computed run by run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from descend.graph.compat import OpOverload, pytree
from descend.graph.recorder import SHAPES, VALUE, Value, inputs, record, whole

aten = torch.ops.aten

VECTORS = 32
"""Two vectors of 64 bytes of float32: torch's elementwise loops take so many numbers at once."""

PARALLEL = 32_768
"""From so many numbers on torch shares an elementwise loop, and a reduction to one number, among threads."""

ALIGNED = 64
"""Bytes. Intel's MKL rounds a product by the address of its matrices, too."""

# Measured in float32 and float64, with vectors of 16 to 64 bytes: the same in a loop's body and in its tail.
STEADY = {
    aten.abs, aten.acos, aten.acosh, aten.add, aten.addcdiv, aten.addcmul, aten.asin, aten.asinh, aten.atan,
    aten.bitwise_and, aten.bitwise_not, aten.bitwise_or, aten.ceil, aten.clamp, aten.clamp_max, aten.clamp_min,
    aten.cos, aten.div, aten.eq, aten.erf, aten.erfc, aten.exp, aten.expm1, aten.floor, aten.ge, aten.gt, aten.isfinite,
    aten.isinf, aten.isnan, aten.le, aten.leaky_relu, aten.lerp, aten.log, aten.log10, aten.log1p, aten.log2,
    aten.logical_and, aten.logical_not, aten.logical_or, aten.lt, aten.maximum, aten.minimum, aten.mul, aten.ne,
    aten.neg, aten.reciprocal, aten.relu, aten.round, aten.rsqrt, aten.rsub, aten.sgn, aten.sigmoid_backward,
    aten.sign, aten.sin, aten.sqrt, aten.square, aten.sub, aten.tan, aten.tanh, aten.tanh_backward,
    aten.threshold_backward, aten.trunc, aten.where, aten._to_copy, aten.masked_fill,
}  # fmt: skip

# Powers that torch computes by products and roots.
STEADY_POWERS = {2, 3, 0.5, -0.5, -1, -2}

# They work on each entry by itself, though torch does not tag them so.
POINTWISE = {aten._to_copy, aten.floor_divide, aten.masked_fill, aten.softplus_backward}

# With the run axis first these are the same in a stack and alone as `torch.vmap` makes them.
MAPPED = {
    aten.argmax, aten.argmin, aten.avg_pool2d, aten.avg_pool2d_backward, aten.constant_pad_nd, aten.diagonal,
    aten.gather, aten.index, aten.roll, aten.scatter, aten.scatter_add, aten.sort,
}  # fmt: skip

VIEWS = {aten.view, aten._unsafe_view, aten.reshape, aten._reshape_alias}

# Reductions that add up: the same while torch keeps to one thread.
SUMS = {
    aten.sum, aten.mean, aten.linalg_vector_norm, aten.logsumexp, aten.mse_loss, aten.mse_loss_backward,
    aten.nll_loss_forward, aten.nll_loss_backward,
}  # fmt: skip

# They work along one axis; the same where that is the last.
ALONG_LAST = {aten._softmax, aten._log_softmax, aten._softmax_backward_data, aten._log_softmax_backward_data}


@dataclass(frozen=True, slots=True)
class Many:
    """A tensor that differs between runs: `x` has the run axis."""

    x: Tensor


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
    """Return what the step of one run gives for many runs; `stacked` says what it takes."""
    marked = [Many(x) if own else x for x, own in zip(given, differs, strict=True)]
    layout = Last(graph) if last else First(graph)
    return [x.x if isinstance(x, Many) else x for x in layout.run(*marked)]


class Layout(Interpreter):
    """Carries out a graph of one run on tensors of many runs."""

    def run_node(self, node: Node) -> Any:
        if node.op != "call_function" or not isinstance(node.target, OpOverload):
            return super().run_node(node)
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        if not any(isinstance(self.env[x], Many) for x in node.all_input_nodes):
            return node.target(*args, **kwargs)
        packet = node.target.overloadpacket
        if packet in SHAPES:
            return of_shape(node, args, kwargs)
        if torch.Tag.pointwise in node.target.tags or packet in POINTWISE:
            return self.pointwise(node, args, kwargs)
        return self.other(node, args, kwargs)

    def pointwise(self, node: Node, args: Any, kwargs: Any) -> Many:
        """Carry out an elementwise operation in the precision that one run has."""
        op: Any = node.target
        value: Value = node.meta[VALUE]
        nodes = list(node.all_input_nodes)
        precision = precision_of([x.meta[VALUE] for x in nodes])
        rank = len(value.shape)

        def placed(x: Any, of: Any) -> Any:
            if isinstance(of, list | tuple):
                return [placed(*pair) for pair in zip(x, of, strict=True)]
            if not isinstance(of, Node):
                return x
            logical = of.meta[VALUE]
            found = self.aligned(x, len(logical.shape), rank)
            cast = not logical.shape and logical.dtype.is_floating_point and found.dtype != precision
            return found.to(precision) if cast else found

        given = placed(args, node.args), {name: placed(kwargs[name], of) for name, of in node.kwargs.items()}
        found = op(*given[0], **given[1]) if steady(node) else evenly(op, *given)
        return Many(found if found.dtype == value.dtype else found.to(value.dtype))

    def aligned(self, x: Any, own: int, rank: int) -> Tensor:
        """Return a tensor of `own` logical axes so that it broadcasts with tensors of `rank` logical axes."""
        raise NotImplementedError

    def other(self, node: Node, args: Any, kwargs: Any) -> Any:
        """Carry out an operation that is not elementwise."""
        raise NotImplementedError


class First(Layout):
    """The run axis is the first."""

    def aligned(self, x: Any, own: int, rank: int) -> Tensor:
        if not isinstance(x, Many):
            return x
        return x.x if own == rank else x.x.reshape(x.x.shape[0], *[1] * (rank - own), *x.x.shape[1:])

    def other(self, node: Node, args: Any, kwargs: Any) -> Any:
        op: Any = node.target
        packet, product = op.overloadpacket, PRODUCTS.get(op)
        if product is not None and not kwargs:
            return Many(product(*args))
        if packet in SUMS and is_large(node):
            return run_by_run(op, args, kwargs)
        rule = RULES.get(packet)
        if rule is not None:
            return rule(node, args, kwargs, 1)
        if packet in MAPPED or packet in SUMS or (packet in ALONG_LAST and along_last(node)):
            return mapped(op, args, kwargs, 0)
        return run_by_run(op, args, kwargs)


class Last(Layout):
    """The run axis is the last."""

    def aligned(self, x: Any, own: int, rank: int) -> Tensor:
        if isinstance(x, Many):
            return x.x
        return x.unsqueeze(-1) if own else x

    def other(self, node: Node, args: Any, kwargs: Any) -> Any:
        op: Any = node.target
        rule = RULES.get(op.overloadpacket) or SMALL_PRODUCTS.get(op.overloadpacket)
        if rule is not None:
            return rule(node, args, kwargs, 0)
        moved = pytree.tree_map(
            lambda x: Many(x.x.movedim(-1, 0).contiguous()) if isinstance(x, Many) else x, (args, kwargs)
        )
        found = First(self.module).other(node, *moved)
        return pytree.tree_map(lambda x: Many(x.x.movedim(0, -1).contiguous()) if isinstance(x, Many) else x, found)


def is_large(node: Node) -> bool:
    """Tell whether a reduction to one number reads so many that torch shares it among threads."""
    value = node.meta[VALUE]
    first = value if isinstance(value, Value) else next(x for x in value if x is not None)
    read = [x.meta[VALUE] for x in node.all_input_nodes]
    return first.numel == 1 and max(x.numel for x in read if isinstance(x, Value)) >= PARALLEL


def steady(node: Node) -> bool:
    """Tell whether an elementwise operation gives a number the same result wherever it lies in memory."""
    op: Any = node.target
    values = [x.meta[VALUE] for x in (node, *node.all_input_nodes)]
    exact = not any(isinstance(x, Value) and x.dtype.is_floating_point for x in values)
    return exact or op.overloadpacket in STEADY or (op is aten.pow.Tensor_Scalar and node.args[1] in STEADY_POWERS)


def precision_of(values: Sequence[Any]) -> torch.dtype | None:
    """Return the precision in which torch computes with these; a number [] has no say beside a tensor with axes."""
    floats = [x for x in values if isinstance(x, Value) and x.dtype.is_floating_point]
    decisive = [x.dtype for x in floats if x.shape] or [x.dtype for x in floats]
    return reduce(torch.promote_types, decisive) if decisive else None


def of_shape(node: Node, args: Any, kwargs: Any) -> Tensor:
    """Return what depends on the shape of one run's tensor alone: the same for all runs."""
    op: Any = node.target
    value: Value = node.meta[VALUE]
    source = node.all_input_nodes[0].meta[VALUE]
    like = torch.empty(source.shape, dtype=source.dtype, device=value.device)
    return op(like, *args[1:], **kwargs)


def evenly(op: Any, args: Any, kwargs: Any) -> Tensor:
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


def mapped(op: Any, args: Any, kwargs: Any, axis: int) -> Any:
    """Carry out an operation by torch's own rule for many runs."""
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
    """Carry out an operation for one run after the other and stack what it gives; one node of the graph."""
    leaves, spec = pytree.tree_flatten((args, kwargs))
    differs = [isinstance(x, Many) for x in leaves]
    given = [x.x if isinstance(x, Many) else x for x in leaves]

    def each(*leaves: Any) -> Any:
        return one_by_one(op, spec, differs, *leaves)

    found = whole(each, *given)
    return pytree.tree_map(lambda x: Many(x) if isinstance(x, Tensor) else x, found)


def one_by_one(op: Any, spec: Any, differs: Sequence[bool], *leaves: Any) -> Any:
    """Carry out an operation for each run on memory that begins as its own would."""
    runs = next(len(x) for x, own in zip(leaves, differs, strict=True) if own)
    found = []
    for run in range(runs):
        one = [by_itself(x[run]) if own else x for x, own in zip(leaves, differs, strict=True)]
        args, kwargs = pytree.tree_unflatten(one, spec)
        found.append(op(*args, **kwargs))
    return pytree.tree_map(lambda *x: torch.stack(x) if isinstance(x[0], Tensor) else x[0], *found)


def by_itself(x: Tensor) -> Tensor:
    """Return one run's tensor, dense and at an aligned address."""
    placed = x.is_contiguous() and x.storage_offset() * x.element_size() % ALIGNED == 0
    return x if placed else x.clone(memory_format=torch.contiguous_format)


def along_last(node: Node) -> bool:
    """Tell whether a softmax, or its derivative, goes along the last axis."""
    place = 2 if "backward" in str(node.target) else 1
    rank = len(node.meta[VALUE].shape)
    return rank > 0 and int(node.args[place]) % rank == rank - 1  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ matrix products


Operand = Many | Tensor
"""A tensor that differs between runs, or one that all have in common."""


def matrices(x: Operand, runs: int) -> Tensor:
    """Return matrices [runs, …]; those in common are not copied."""
    return x.x if isinstance(x, Many) else x.expand(runs, *x.shape)


def runs_of(*operands: Any) -> int:
    """Return how many runs there are."""
    return next(x.x.shape[0] for x in operands if isinstance(x, Many))


def batched(x: Tensor, y: Tensor) -> Tensor:
    """Return x @ y for matrices [runs, m, k] and [runs, k, n], each product rounded as it is for one run alone.

    MKL rounds by where a matrix lies and treats a single vector by other code: so matrices are made to begin at aligned
    addresses, by zeros beside them where their size does not do it, and a single vector is never multiplied alone.
    """
    m, k, n = x.shape[1], x.shape[2], y.shape[2]
    unit = ALIGNED // x.element_size()
    if any(size % unit for size in (m * k, k * n, m * n)):
        rows, columns = (-m % unit, 0) if m >= n else (0, -n % unit)
        x = torch.nn.functional.pad(x, (0, -k % unit, 0, rows))
        y = torch.nn.functional.pad(y, (0, columns, 0, -k % unit))
    x, y = in_place(x), in_place(y)
    if len(x) == 1 and 1 in (x.shape[1], y.shape[2]):
        found = torch.bmm(x.expand(2, -1, -1), y.expand(2, -1, -1))[:1]
    else:
        found = torch.bmm(x, y)
    return found if found.shape[1:] == (m, n) else found[:, :m, :n].contiguous()


def in_place(x: Tensor) -> Tensor:
    """Return matrices as they are where each is dense and begins at an aligned address, otherwise a dense copy."""
    rows, columns = x.shape[1:]
    dense = x.stride()[1:] in ((columns, 1), (1, rows)) or 1 in (rows, columns)
    apart = len(x) == 1 or x.stride(0) in (0, rows * columns)
    begins = x.storage_offset() * x.element_size() % ALIGNED == 0
    return x if dense and apart and begins else x.clone(memory_format=torch.contiguous_format)


def times(x: Operand, y: Operand) -> Tensor:
    """x @ y of matrices."""
    runs = runs_of(x, y)
    return batched(matrices(x, runs), matrices(y, runs))


def times_vector(x: Operand, y: Operand) -> Tensor:
    """x @ y of a matrix and a vector."""
    runs = runs_of(x, y)
    return batched(matrices(x, runs), matrices(y, runs).unsqueeze(-1)).squeeze(-1)


def inner(x: Operand, y: Operand) -> Tensor:
    """x · y of vectors."""
    runs = runs_of(x, y)
    return summed(matrices(x, runs) * matrices(y, runs))


def summed(x: Tensor) -> Tensor:
    """Add up vectors [runs, n]; in parts where torch would share one sum among threads."""
    if x.shape[1] < PARALLEL:
        return x.sum(1)
    parts = torch.nn.functional.pad(x, (0, -x.shape[1] % VECTORS)).reshape(len(x), VECTORS, -1)
    return parts.sum(2).sum(1)


def plus_times(bias: Operand, x: Operand, y: Operand) -> Tensor:
    """bias + x @ y."""
    found = times(x, y)
    own = bias.x.reshape(len(bias.x), -1, bias.x.shape[-1]) if isinstance(bias, Many) else bias
    return found + own


def times_of_batches(x: Operand, y: Operand) -> Tensor:
    """x @ y of batches of matrices [b, m, k] and [b, k, n]."""
    runs = runs_of(x, y)
    left, right = matrices(x, runs).flatten(0, 1), matrices(y, runs).flatten(0, 1)
    return batched(left, right).unflatten(0, (runs, -1))


PRODUCTS: dict[Any, Callable[..., Tensor]] = {
    aten.mm.default: times,
    aten.mv.default: times_vector,
    aten.dot.default: inner,
    aten.addmm.default: plus_times,
    aten.bmm.default: times_of_batches,
}


# ------------------------------------------------------------------------------------------- movements, reductions

Rule = Callable[[Node, Any, Any, int], Any]
"""Carries out an operation on tensors of many runs: given its node, its arguments, and how many axes the runs have in
front (1 where the run axis is the first, 0 where it is the last)."""


def rank_of(node: Node) -> int:
    """Return how many axes the first tensor that a node reads has in one run."""
    source: Any = node.args[0]
    first = source if isinstance(source, Node) else source[0]
    return len(first.meta[VALUE].shape)


def runs_in(x: Tensor, front: int) -> int:
    """Return how many runs a tensor has."""
    return x.shape[0 if front else -1]


def shaped(shape: Sequence[int], runs: int, front: int) -> list[int]:
    """Return the shape of one run's tensor with the run axis in its place."""
    return [runs, *shape] if front else [*shape, runs]


def spread(x: Any, runs: int, front: int) -> Tensor:
    """Return the tensor of many runs; one in common is spread over them."""
    if isinstance(x, Many):
        return x.x
    return x.expand(runs, *x.shape) if front else x.unsqueeze(-1).expand(*x.shape, runs)


def axes(*places: int, sizes: int | None = None, wider: int = 0) -> Rule:
    """Return the rule of an operation whose axes are arguments: counted from the front, they move by the runs' axis.

    Args:
        places: where in the arguments they stand.
        sizes: where a shape stands, to which the runs are added.
        wider: 1 where an axis may also stand behind the last (`unsqueeze`, `stack`).
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
        own = [spread(x, runs, front) for x in first]
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


def same(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    return args[0]


def reduction(name: str) -> Rule:
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
        if not over:  # a single number: reduced along an axis that is made for it
            return Many(call(x.unsqueeze(front), *leading, [front], False, **kwargs))
        return Many(call(x, *leading, over, keep, **kwargs))

    return rule


def inner_last(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x, y = (spread(z, 1, front) for z in args)
    return Many((x * y).sum(0))


def times_vector_last(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x, y = (spread(z, 1, front) for z in args)
    return Many((x * y.unsqueeze(0)).sum(1))


def times_last(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x, y = (spread(z, 1, front) for z in args)
    return Many((x.unsqueeze(2) * y.unsqueeze(0)).sum(1))


REDUCED = ("sum", "mean", "amax", "amin", "all", "any", "linalg_vector_norm")

RULES: dict[Any, Rule] = {
    **dict.fromkeys((aten.alias, aten.clone, aten.detach, aten.lift_fresh, aten.lift_fresh_copy), same),
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
    aten.split: axes(2),
    aten.split_with_sizes: axes(2),
    aten.transpose: axes(1, 2),
    aten.select_backward: axes(2, sizes=1),
    aten.slice_backward: axes(2, sizes=1),
}

# With the run axis last, small products are sums of products; with it first see `PRODUCTS`.
SMALL_PRODUCTS: dict[Any, Rule] = {aten.dot: inner_last, aten.mv: times_vector_last, aten.mm: times_last}


def runs_last(graph: GraphModule, most: int) -> bool:
    """Tell whether the run axis stands last: where every tensor of one run has at most `most` entries."""
    values = [node.meta.get(VALUE) for node in graph.graph.nodes]
    return all(x.numel <= most for x in values if isinstance(x, Value)) and bool(inputs(graph))
