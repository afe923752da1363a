"""How large the derivatives of each order are, for small problems."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.gradient import gradient
from descend.derivatives.tensors import derivative_tensor
from descend.metrics.to_order import ToOrder
from descend.types import Observation, Params
from descend.vectors import norm, numel

LARGEST = 256
"""Entries of a tensor: beyond, it costs more than a look is worth."""


@dataclass(frozen=True)
class DerivativeNorms(ToOrder):
    """`derivative/norm/k`: the Frobenius norm of the whole tensor ∂^k f / ∂θ_i … ∂θ_j, for k = 1 … `order`.

    Orders whose tensors have more than 256 entries are left out: 16 parameters have two, 2 have all to the eighth.

    Args:
        order: the highest order, ≥ 1.
    """

    def applies(self, params: Params) -> bool:
        return numel(params) <= LARGEST

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        size = numel(observation.params)
        orders = [k for k in range(2, self.order + 1) if size**k <= LARGEST]
        tensors = {k: derivative_tensor(observation.loss, observation.params, k) for k in orders}
        higher = {f"derivative/norm/{k}": torch.linalg.vector_norm(tensor) for k, tensor in tensors.items()}
        directed = observation.directed
        first = gradient(observation.loss, observation.params) if directed else observation.gradients
        return {"derivative/norm/1": norm(first)} | higher
