"""Products of matrices and vectors of many runs, each rounded as it is for one run alone."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from descend.graph.many import ALIGNED, PARALLEL, VECTORS, Many, Operand, runs_of, with_runs
from descend.graph.moves import StackRule

aten = torch.ops.aten

LEAST_FUSED = 16
"""Smaller products, to which a matrix is added in the same call, round differently alone and in a stack."""


def matrices(x: Operand, runs: int) -> Tensor:
    """Return matrices [runs, …]; those in common are not copied."""
    return x.x if isinstance(x, Many) else x.expand(runs, *x.shape)


def batched(x: Tensor, y: Tensor) -> Tensor:
    """Return x @ y for matrices [runs, m, k] and [runs, k, n], each product rounded as it is for one run alone.

    MKL rounds differently at other addresses, and uses other code for a single vector. So all matrices begin at aligned
    addresses, with zeros added where their size requires it, and a single vector is never multiplied alone.
    """
    m, k, n = x.shape[1], x.shape[2], y.shape[2]
    unit = ALIGNED // x.element_size()
    if not all_begin_aligned(x, y):
        rows, columns = (-m % unit, 0) if m >= n else (0, -n % unit)
        x = torch.nn.functional.pad(x, (0, -k % unit, 0, rows))
        y = torch.nn.functional.pad(y, (0, columns, 0, -k % unit))
    x, y = aligned(x), aligned(y)
    if len(x) == 1 and 1 in (x.shape[1], y.shape[2]):
        found = torch.bmm(x.expand(2, -1, -1), y.expand(2, -1, -1))[:1]
    else:
        found = torch.bmm(x, y)
    return found if found.shape[1:] == (m, n) else found[:, :m, :n].contiguous()


def all_begin_aligned(x: Tensor, y: Tensor) -> bool:
    """Tell whether all matrices of x, of y and of their product begin at aligned addresses if the first ones do."""
    (m, k), n = x.shape[1:], y.shape[2]
    return not any(size * x.element_size() % ALIGNED for size in (m * k, k * n, m * n))


def aligned(x: Tensor) -> Tensor:
    """Return matrices as they are if each is dense and begins at an aligned address, otherwise a dense copy.

    A transposed matrix stays transposed: MKL uses other code for it, which rounds differently.
    """
    rows, columns = x.shape[1:]
    turned = x.stride()[1:] == (1, rows)
    dense = turned or x.stride()[1:] == (columns, 1) or 1 in (rows, columns)
    apart = len(x) == 1 or x.stride(0) in (0, rows * columns)
    begins = x.storage_offset() * x.element_size() % ALIGNED == 0
    if dense and apart and begins:
        return x
    return laid_in_rows(x.mT).mT if turned else laid_in_rows(x)


def laid_in_rows(x: Tensor) -> Tensor:
    """Return a copy in new memory, row by row."""
    return x.clone(memory_format=torch.contiguous_format)


def times(x: Operand, y: Operand) -> Tensor:
    """x @ y of matrices."""
    runs = runs_of(x, y)
    return at_once_or_singly(batched, matrices(x, runs), matrices(y, runs))


def at_once_or_singly(product: Callable[..., Tensor], x: Tensor, y: Tensor, *others: Tensor) -> Tensor:
    """Return product(x, y, *others) of tensors [runs, …], made run by run where there are several threads.

    They share one product, but not each of many: how MKL divides it decides how it is rounded.
    """
    if torch.get_num_threads() == 1 or len(x) == 1:
        return product(x, y, *others)
    return torch.cat([product(*(z[i : i + 1] for z in (x, y, *others))) for i in range(len(x))])


def times_vector(x: Operand, y: Operand) -> Tensor:
    """x @ y of a matrix and a vector."""
    runs = runs_of(x, y)
    return at_once_or_singly(batched, matrices(x, runs), matrices(y, runs).unsqueeze(-1)).squeeze(-1)


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


def plus_times(bias: Operand, x: Operand, y: Operand, beta: float = 1, alpha: float = 1) -> Tensor:
    """β · bias + α · x @ y, where bias is a matrix or a row."""
    runs = runs_of(bias, x, y)
    left, right, added = matrices(x, runs), matrices(y, runs), matrices(bias, runs)
    if fuses(added, left, right):
        call = partial(torch.baddbmm, beta=beta, alpha=alpha)
        return at_once_or_singly(lambda x, y, added: call(added, aligned(x), aligned(y)), left, right, added)
    found = at_once_or_singly(batched, left, right)
    found = found if alpha == 1 else found * alpha
    return torch.add(found, added.reshape(runs, *[1] * (3 - added.dim()), *added.shape[1:]), alpha=beta)


def fuses(added: Tensor, x: Tensor, y: Tensor) -> bool:
    """Tell whether added + x @ y, of tensors [runs, …], may be one call: whether it then rounds in a stack as alone."""
    (m, k), n = x.shape[1:], y.shape[2]
    return added.shape[1:] == (m, n) and min(m, k, n) >= LEAST_FUSED and all_begin_aligned(x, y)


def times_of_batches(x: Operand, y: Operand) -> Tensor:
    """x @ y of batches of matrices [b, m, k] and [b, k, n]."""
    runs = runs_of(x, y)
    return at_once_or_singly(batches_in_a_row, matrices(x, runs), matrices(y, runs))


def batches_in_a_row(x: Tensor, y: Tensor) -> Tensor:
    """x @ y of [runs, b, m, k] and [runs, b, k, n], as one batch."""
    return batched(x.flatten(0, 1), y.flatten(0, 1)).unflatten(0, (len(x), -1))


PRODUCTS: dict[Any, Callable[..., Tensor]] = {
    aten.mm.default: times,
    aten.mv.default: times_vector,
    aten.dot.default: inner,
    aten.addmm.default: plus_times,
    aten.bmm.default: times_of_batches,
}


def inner_last(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x, y = (with_runs(z, 1, front) for z in args)
    return Many((x * y).sum(0))


def times_vector_last(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x, y = (with_runs(z, 1, front) for z in args)
    return Many((x * y.unsqueeze(0)).sum(1))


def times_last(node: Node, args: Any, kwargs: Any, front: int) -> Many:
    x, y = (with_runs(z, 1, front) for z in args)
    return Many((x.unsqueeze(2) * y.unsqueeze(0)).sum(1))


# With the run axis last, small products are sums of products; with it first see `PRODUCTS`.
SMALL_PRODUCTS: dict[Any, StackRule] = {aten.dot: inner_last, aten.mv: times_vector_last, aten.mm: times_last}
