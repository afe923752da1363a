"""The curvature of small problems, from the whole Hessian."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.hessian import hessian
from descend.metrics.histogram import histogram
from descend.metrics.metric import Metric
from descend.types import Observation, Params
from descend.vectors import numel

LARGEST = 256
"""Up to this many parameters the whole Hessian costs a few batched backward passes; beyond, products are cheaper."""
FEW = 32
"""Up to this many eigenvalues each has a curve; of more, the largest ten have, and all are in a histogram."""


@dataclass(frozen=True)
class HessianExact(Metric):
    """The spectrum of the Hessian of the step's loss, for at most 256 parameters.

    `hessian/eigenvalue/0` is the largest, `hessian/smallest` the smallest eigenvalue; `hessian/condition` is
    max |λ| / min |λ|; `hessian/negative_eigenvalues` counts those below −n·ε·max |λ|, ε the rounding unit: directions
    of negative curvature. All are NaN where the Hessian is not finite.
    """

    @property
    def differentiates(self) -> int:
        return 2

    def applies(self, params: Params) -> bool:
        return numel(params) <= LARGEST

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        eigenvalues = eigenvalues_of(hessian(observation.loss, observation.params))
        n = len(eigenvalues)
        sizes = eigenvalues.abs()
        rounding = n * torch.finfo(eigenvalues.dtype).eps * sizes.amax()
        negative = (eigenvalues < -rounding).sum().to(eigenvalues.dtype)
        largest = eigenvalues.unbind()[: n if n <= FEW else 10]
        values = {f"hessian/eigenvalue/{i}": value for i, value in enumerate(largest)}
        return values | {
            "hessian/smallest": eigenvalues[-1],
            "hessian/trace": eigenvalues.sum(),
            "hessian/condition": sizes.amax() / sizes.amin(),
            "hessian/negative_eigenvalues": torch.where(eigenvalues.isfinite().all(), negative, torch.nan),
            **({"hessian/histogram": histogram(eigenvalues, bins=64)} if n > FEW else {}),
        }


def eigenvalues_of(matrix: Tensor) -> Tensor:
    """Return the eigenvalues of a symmetric matrix [n, n], largest first, [n]; NaN where an entry is not finite.

    LAPACK refuses what is not finite, so it is given zeros instead.
    """
    finite = matrix.isfinite().all()
    eigenvalues = torch.linalg.eigvalsh(torch.where(finite, matrix, 0)).flip(0)
    return torch.where(finite, eigenvalues, torch.nan)
