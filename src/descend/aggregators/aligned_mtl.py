"""The mean of the gradients after their principal components are brought to one length (Aligned-MTL)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.gramian import finite_or_identity, gramian
from descend.types import State


@dataclass(frozen=True)
class AlignedMtl(Aggregator):
    """λ = √σ_min V Σ^(−½) Vᵀ (1/m, …, 1/m), from G = V Σ Vᵀ without the eigenvalues that are zero.

    Senushkin et al., "Independent Component Alignment for Multi-Task Learning" (CVPR 2023), Algorithm 1, with the
    smallest eigenvalue as the common scale.
    """

    uses_jacobian: ClassVar[bool] = True

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        products, mark = finite_or_identity(gramian(jacobian()))
        m = products.shape[0]
        eigenvalues, vectors = torch.linalg.eigh(products, UPLO="U")
        nonzero = eigenvalues > eigenvalues.amax() * m * torch.finfo(products.dtype).eps
        least = torch.where(nonzero, eigenvalues, torch.full_like(eigenvalues, torch.inf)).amin()
        factors = torch.where(nonzero, (least / eigenvalues).sqrt(), torch.zeros_like(eigenvalues))
        mean = torch.full_like(eigenvalues, 1 / m)
        aligned = vectors @ (factors * (vectors.mT @ mean))
        return (torch.where(nonzero.any(), aligned, mean) + mark).to(losses.dtype), state
