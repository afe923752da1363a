"""The full matrix of second derivatives."""

from collections.abc import Iterator
from itertools import accumulate

import torch
from torch import Tensor

from descend.derivatives.flat import ravel
from descend.derivatives.gradient import gradient_graph, require_numbers
from descend.derivatives.memory import require_memory
from descend.derivatives.vjp import batched_vjp
from descend.types import Loss, Params
from descend.vectors import numel


def hessian(f: Loss, params: Params, chunk: int = 256) -> Tensor:
    """Hessian [n, n] of `f` at `params`, detached, rows and columns in dict order, dtype and device of `params`.

    Reverse over reverse: the gradient's graph is built once on detached copies and differentiated again, `chunk` rows
    to one batched backward, which bounds the memory needed beside the result. `torch.func.hessian` (forward over
    reverse under vmap) is wrong through layer norm and batch norm; this route is right wherever it runs, and faster.
    By symmetry each pair of parameter tensors is computed once and mirrored. Rows are zero for parameters that `f`
    does not depend on, or only linearly.

    Raises ConfigurationError where the matrix does not fit in memory, where an operation has no second derivative, and
    where `f` does not return a scalar.
    """
    require_numbers(params)
    first, size = next(iter(params.values())), numel(params)
    require_memory(size, first.dtype, first.device)
    inputs, gradients = gradient_graph(f, params)
    if len(inputs) == 1 and size <= chunk:  # one pass gives the whole matrix; copying blocks would take longer
        ((_, vectors),) = _unit_vectors(inputs[0], chunk)
        return batched_vjp(gradients, inputs, [vectors])[0].reshape(size, size).contiguous()
    matrix = ravel(params).new_empty(size, size)
    stops = list(accumulate(piece.numel() for piece in inputs))
    spans = [slice(stop - piece.numel(), stop) for piece, stop in zip(inputs, stops, strict=True)]
    for index, span in enumerate(spans):
        block = matrix[span]
        for rows, vectors in _unit_vectors(inputs[index], chunk):
            pieces = batched_vjp([gradients[index]], inputs[: index + 1], [vectors])
            for columns, piece in zip(spans, pieces, strict=False):
                block[rows, columns] = piece.reshape(len(vectors), -1)
        matrix[: span.start, span] = block[:, : span.start].T
    return matrix


def _unit_vectors(like: Tensor, chunk: int) -> Iterator[tuple[slice, Tensor]]:
    """The unit vectors of `like`'s space, at most `chunk` at a time: their indices, and [rows, *like.shape]."""
    for first in range(0, like.numel(), chunk):
        rows = slice(first, min(first + chunk, like.numel()))
        unit = torch.zeros(rows.stop - first, like.numel(), dtype=like.dtype, device=like.device)
        unit.diagonal(first).fill_(1)
        yield rows, unit.view(-1, *like.shape)
