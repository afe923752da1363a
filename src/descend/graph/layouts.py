"""Carries out a graph of one run on tensors of many runs, whose run axis is the first or the last."""

from typing import Any

import torch
from torch import Tensor
from torch.fx import Interpreter, Node

from descend.graph.calls import by_vmap, in_whole_vectors, run_by_run
from descend.graph.compat import OpOverload, pytree
from descend.graph.many import PARALLEL, Many
from descend.graph.moves import RULES
from descend.graph.operations import SHAPES, is_pointwise
from descend.graph.products import PRODUCTS, SMALL_PRODUCTS
from descend.graph.recorder import VALUE, OneCall, Value, precision_of

aten = torch.ops.aten

# Measured in float32 and float64, with vectors of 16 to 64 bytes: they round alike in a loop's body and in its tail.
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

# With the run axis first, `torch.vmap` gives for these the same in a stack and alone.
MAPPED = {
    aten.argmax, aten.argmin, aten.avg_pool2d, aten.avg_pool2d_backward, aten.constant_pad_nd, aten.diagonal,
    aten.gather, aten.index, aten.roll, aten.scatter, aten.scatter_add, aten.sort,
}  # fmt: skip

# Sums: the same in a stack and alone while torch uses one thread.
SUMS = {
    aten.sum, aten.mean, aten.linalg_vector_norm, aten.logsumexp, aten.mse_loss, aten.mse_loss_backward,
    aten.nll_loss_forward, aten.nll_loss_backward,
}  # fmt: skip

# They work along one axis, and give the same in a stack and alone where it is the last.
ALONG_LAST = {aten._softmax, aten._log_softmax, aten._softmax_backward_data, aten._log_softmax_backward_data}


class Layout(Interpreter):
    """Carries out a graph of one run on tensors of many runs."""

    def run_node(self, node: Node) -> Any:
        if node.op != "call_function" or not isinstance(node.target, OpOverload | OneCall):
            return super().run_node(node)
        args, kwargs = self.fetch_args_kwargs_from_env(node)
        if not any(isinstance(self.env[x], Many) for x in node.all_input_nodes):
            return node.target(*args, **kwargs)
        if isinstance(node.target, OneCall):
            return self.called(node.target, args)
        packet = node.target.overloadpacket
        if packet in SHAPES:
            return of_shape(node, args, kwargs)
        if is_pointwise(node.target):
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
        found = op(*given[0], **given[1]) if same_everywhere(node) else in_whole_vectors(op, *given)
        return Many(found if found.dtype == value.dtype else found.to(value.dtype))

    def called(self, call: OneCall, args: Any) -> Any:
        """Carry out for each run the call that it makes alone."""
        raise NotImplementedError

    def aligned(self, x: Any, own: int, rank: int) -> Tensor:
        """Return a tensor of `own` logical axes so that it broadcasts with tensors of `rank` logical axes."""
        raise NotImplementedError

    def other(self, node: Node, args: Any, kwargs: Any) -> Any:
        """Carry out an operation that is not elementwise."""
        raise NotImplementedError


class First(Layout):
    """The run axis is the first."""

    def called(self, call: OneCall, args: Any) -> Any:
        return run_by_run(call, args, {})

    def aligned(self, x: Any, own: int, rank: int) -> Tensor:
        if not isinstance(x, Many):
            return x
        return x.x if own == rank else x.x.reshape(x.x.shape[0], *[1] * (rank - own), *x.x.shape[1:])

    def other(self, node: Node, args: Any, kwargs: Any) -> Any:
        op: Any = node.target
        packet, product = op.overloadpacket, PRODUCTS.get(op)
        if product is not None and (not kwargs or packet is aten.addmm):
            return Many(product(*args, **kwargs))
        if packet in SUMS and is_large(node):
            return run_by_run(op, args, kwargs)
        rule = RULES.get(packet)
        if rule is not None:
            return rule(node, args, kwargs, 1)
        if packet in MAPPED or packet in SUMS or (packet in ALONG_LAST and along_last(node)):
            return by_vmap(op, args, kwargs, 0)
        return run_by_run(op, args, kwargs)


class Last(Layout):
    """The run axis is the last."""

    def called(self, call: OneCall, args: Any) -> Any:
        return lasting(run_by_run(call, leading(args), {}))

    def aligned(self, x: Any, own: int, rank: int) -> Tensor:
        if isinstance(x, Many):
            return x.x
        return x.unsqueeze(-1) if own else x

    def other(self, node: Node, args: Any, kwargs: Any) -> Any:
        op: Any = node.target
        rule = RULES.get(op.overloadpacket) or SMALL_PRODUCTS.get(op.overloadpacket)
        if rule is not None:
            return rule(node, args, kwargs, 0)
        return lasting(First(self.module).other(node, *leading((args, kwargs))))


def leading(tree: Any) -> Any:
    """Return a tree with its run axes moved from the last place to the first."""
    return pytree.tree_map(lambda x: Many(x.x.movedim(-1, 0).contiguous()) if isinstance(x, Many) else x, tree)


def lasting(tree: Any) -> Any:
    """Return a tree with its run axes moved from the first place to the last."""
    return pytree.tree_map(lambda x: Many(x.x.movedim(0, -1).contiguous()) if isinstance(x, Many) else x, tree)


def is_large(node: Node) -> bool:
    """Tell whether a reduction to one number reads so many numbers that torch shares it among threads."""
    value = node.meta[VALUE]
    first = value if isinstance(value, Value) else next(x for x in value if x is not None)
    read = [x.meta[VALUE] for x in node.all_input_nodes]
    return first.numel == 1 and max(x.numel for x in read if isinstance(x, Value)) >= PARALLEL


def same_everywhere(node: Node) -> bool:
    """Tell whether an elementwise operation gives a number the same result wherever it lies in memory."""
    op: Any = node.target
    values = [x.meta[VALUE] for x in (node, *node.all_input_nodes)]
    exact = not any(isinstance(x, Value) and x.dtype.is_floating_point for x in values)
    return exact or op.overloadpacket in STEADY or (op is aten.pow.Tensor_Scalar and node.args[1] in STEADY_POWERS)


def of_shape(node: Node, args: Any, kwargs: Any) -> Tensor:
    """Return a result that depends on the shape of one run's tensor alone: it is the same for all runs."""
    op: Any = node.target
    value: Value = node.meta[VALUE]
    source = node.all_input_nodes[0].meta[VALUE]
    like = torch.empty(source.shape, dtype=source.dtype, device=value.device)
    return op(like, *args[1:], **kwargs)


def along_last(node: Node) -> bool:
    """Tell whether a softmax, or its derivative, goes along the last axis."""
    place = 2 if "backward" in str(node.target) else 1
    rank = len(node.meta[VALUE].shape)
    return rank > 0 and int(node.args[place]) % rank == rank - 1  # type: ignore[arg-type]
