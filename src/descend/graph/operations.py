"""Kinds of torch's operations, by what they do with entries; stacks, kernels and the audit use them."""

import torch

from descend.graph.compat import OpOverload

aten = torch.ops.aten

# Elementwise operations that torch does not tag as such.
UNTAGGED = {aten._to_copy, aten.floor_divide, aten.masked_fill, aten.softplus_backward}

# They return entries of their inputs, or zeros: applied to the numbers of the entries, they tell which goes where.
MOVEMENTS = {
    aten.alias, aten.cat, aten.clone, aten.detach, aten.diagonal, aten.expand, aten.flip, aten.lift_fresh,
    aten.lift_fresh_copy, aten.permute, aten.repeat, aten.reshape, aten.roll, aten.select, aten.select_backward,
    aten.slice, aten.slice_backward, aten.split, aten.split_with_sizes, aten.squeeze, aten.stack, aten.t,
    aten.transpose, aten.unbind, aten.unsafe_split, aten.unsafe_split_with_sizes, aten.unsqueeze, aten.view,
    aten._unsafe_view,
}  # fmt: skip

# Movements whose indices are a tensor of integers.
BY_INDEX = {aten.gather, aten.index, aten.index_select}

# Their result depends on the shape of their input alone.
SHAPES = {
    aten.ones_like, aten.zeros_like, aten.full_like, aten.new_zeros, aten.new_ones, aten.new_full,
}  # fmt: skip


def is_pointwise(op: OpOverload) -> bool:
    """Tell whether an operation works on each entry by itself."""
    return torch.Tag.pointwise in op.tags or op.overloadpacket in UNTAGGED


# They change nothing but the shape.
RESHAPES = {
    aten.view.default, aten._unsafe_view.default, aten.reshape.default, aten.expand.default, aten.squeeze.default,
    aten.squeeze.dim, aten.squeeze.dims, aten.contiguous.default,
}  # fmt: skip
