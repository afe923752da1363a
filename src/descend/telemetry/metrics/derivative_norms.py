"""How large the derivatives of each order are, for small problems."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.tensors import derivative_tensor
from descend.telemetry.metric import Metric
from descend.types import Observation, Params
from descend.vectors import norm

LARGEST = 256
"""Entries of a tensor: beyond, it costs more than a look is worth."""


@dataclass(frozen=True)
class DerivativeNorms(Metric):
    """`derivative/norm/k`: the Frobenius norm of the whole tensor ∂^k f / ∂θ_i … ∂θ_j, for k = 1 … `order`.

    Orders whose tensors have more than 256 entries are left out: 16 parameters have two, 2 have all to the eighth.

    Args:
        order: the highest order, ≥ 1.
    """

    order: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "order", at_least=1)

    @property
    def differentiates(self) -> int:
        return self.order

    def applies(self, params: Params) -> bool:
        return numel(params) <= LARGEST

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        size = numel(observation.params)
        orders = [k for k in range(2, self.order + 1) if size**k <= LARGEST]
        tensors = {k: derivative_tensor(observation.loss, observation.params, k) for k in orders}
        higher = {f"derivative/norm/{k}": torch.linalg.vector_norm(tensor) for k, tensor in tensors.items()}
        return {"derivative/norm/1": norm(observation.gradients)} | higher


def numel(params: Params) -> int:
    """How many numbers the parameters are."""
    return sum(x.numel() for x in params.values())
