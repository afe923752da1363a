"""The whole tensor of k-th derivatives of a scalar function, for problems small enough to hold it."""

import itertools

import torch
from torch import Tensor

from descend.derivatives.gradient import gradient_graph, require_numbers, scalar
from descend.derivatives.series import decomposed
from descend.derivatives.vjp import batched_vjp
from descend.errors import ConfigurationError
from descend.types import Loss, Params
from descend.vectors import numel

LARGEST = 2**22
"""Most entries of a tensor; laying them out takes 8 · order bytes for each."""

CHUNK = 128
"""Rows in one batched backward pass."""


def derivative_tensor(f: Loss, params: Params, order: int) -> Tensor:
    """Every partial derivative of one order, detached: entry [i, j, …] is ∂^order f / ∂θ_i ∂θ_j … .

    Nested reverse mode on a kept graph, batched: a series would need a direction for each entry. By symmetry only
    entries with i ≤ j ≤ … are differentiated, which divides the work by up to order!. Fused layer and batch
    normalisations are computed from sums and products, because torch's third derivatives of them are wrong.

    Args:
        f: a scalar function.
        params: n numbers in all, laid end to end in dict order.
        order: ≥ 0.

    Returns:
        [n] * order; of shape [] for order 0.

    Raises:
        ConfigurationError: for a negative order, a tensor of more than `LARGEST` entries, and an operation that
            cannot be differentiated so often.
    """
    require_numbers(params)
    size = numel(params)
    _check(size, order)
    with torch.enable_grad(), decomposed():
        if order == 0:
            return scalar(f, params).detach()
        inputs, gradients = gradient_graph(f, params)
        entries = torch.cat([each.reshape(-1) for each in gradients])
        for lower in range(1, order):
            entries = _differentiated(entries, inputs, lower, create_graph=lower + 1 < order)
    return _laid_out(entries.detach(), size, order)


def _check(size: int, order: int) -> None:
    if order < 0:
        raise ConfigurationError(f"A derivative of order {order} was asked for. Give an order of 0 or more.")
    if size**order > LARGEST:
        raise ConfigurationError(
            f"The derivatives of order {order} in {size} parameters are {size**order:.3g} numbers, and "
            f"at most {LARGEST:.3g} are computed. Ask for a lower order, or for the Taylor coefficients along one "
            "direction (descend.derivatives.taylor), which have any order at any size."
        )


def _differentiated(entries: Tensor, inputs: list[Tensor], order: int, create_graph: bool) -> Tensor:
    """Differentiate the entries with i_1 ≤ … ≤ i_order, in lexicographic order, to those with one more index."""
    unit = torch.eye(len(entries), dtype=entries.dtype, device=entries.device)
    blocks = [batched_vjp([entries], inputs, [rows], create_graph) for rows in unit.split(CHUNK)]
    rows = torch.cat([torch.cat([piece.reshape(len(piece), -1) for piece in block], 1) for block in blocks])
    size = rows.shape[1]
    indices = itertools.combinations_with_replacement(range(size), order)
    kept = [row * size + column for row, index in enumerate(indices) for column in range(index[-1], size)]
    return rows.reshape(-1)[torch.tensor(kept, dtype=torch.int64, device=rows.device)]


def _laid_out(entries: Tensor, size: int, order: int) -> Tensor:
    """The symmetric tensor [size] * order of its entries with i_1 ≤ … ≤ i_order."""
    powers = [size**place for place in reversed(range(order))]
    indices = itertools.combinations_with_replacement(range(size), order)
    known = [sum(i * power for i, power in zip(index, powers, strict=True)) for index in indices]
    place = torch.arange(size**order, dtype=torch.int64, device=entries.device)
    ordered = torch.stack([place // power % size for power in powers], 1).sort(1).values
    wanted = (ordered * torch.tensor(powers, dtype=torch.int64, device=entries.device)).sum(1)
    position = torch.searchsorted(torch.tensor(known, dtype=torch.int64, device=entries.device), wanted)
    return entries[position].reshape([size] * order)
