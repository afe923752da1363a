"""Vector-Jacobian products over a kept graph: every derivative here is built on this one call of autograd."""

from collections.abc import Sequence

import torch
from torch import Tensor

from descend.derivatives.graph import autograd_errors_explained
from descend.graph.recorder import is_recorded


def vjp(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Sequence[Tensor], create_graph: bool = False
) -> list[Tensor]:
    """Sum over outputs of Jᵀv, one tensor for each input and of its shape; the graph is kept for the next call.

    Each vector has the shape of its output. Inputs that no output depends on get zeros.
    Raises ConfigurationError where an operation has no derivative of this order.
    """
    connected = [(output, vector) for output, vector in zip(outputs, vectors, strict=True) if output.requires_grad]
    if not connected:
        return [torch.zeros_like(value) for value in inputs]
    roots, seeds = zip(*connected, strict=True)
    with autograd_errors_explained():
        return list(
            torch.autograd.grad(
                roots, inputs, seeds, retain_graph=True, create_graph=create_graph, materialize_grads=True
            )
        )


def batched_vjp(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Sequence[Tensor], create_graph: bool = False
) -> list[Tensor]:
    """`vjp` for k vectors at once: each vector [k, *output.shape], each result [k, *input.shape].

    One backward pass batched by vmap; or one pass for each vector where vmap refuses an operation (group norm, in-place
    writes in a custom backward). While operations are recorded it is always the latter: vmap's own rules write in
    place, which a second vmap over the graph would refuse.
    """
    connected = [(output, vector) for output, vector in zip(outputs, vectors, strict=True) if output.requires_grad]
    if connected and not is_recorded():
        roots, seeds = zip(*connected, strict=True)
        try:
            results = torch.autograd.grad(
                roots,
                inputs,
                seeds,
                retain_graph=True,
                create_graph=create_graph,
                is_grads_batched=True,
                allow_unused=True,
            )
        except RuntimeError:
            pass  # either vmap refuses, or there is no such derivative: the loop below finds out which
        else:
            count = (len(seeds[0]),)
            return [
                value.new_zeros(count + value.shape) if result is None else result
                for value, result in zip(inputs, results, strict=True)
            ]
    rows = [
        vjp(outputs, inputs, row, create_graph) for row in zip(*(vector.unbind() for vector in vectors), strict=True)
    ]
    return [torch.stack(column) for column in zip(*rows, strict=True)]
