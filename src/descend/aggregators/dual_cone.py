"""Projection onto the directions that increase no loss."""

import torch
from torch import Tensor

from descend.aggregators.complementarity import solve_complementarity
from descend.scalars import Scalar, cast


def project(preferences: Tensor, products: Tensor, norm_eps: Scalar, reg_eps: Scalar) -> Tensor:
    """Return, for each column u, the v of the projection Jᵀv of Jᵀu onto the dual cone {d : J d ≥ 0}.

    By duality v minimises vᵀG v over v ≥ u (Quinton & Rey, "Jacobian Descent for Multi-Objective Optimization", 2024,
    Proposition 1). As in TorchJD, G is divided by its trace, taken as zero where the trace is no more than `norm_eps`,
    and `reg_eps` is added to its diagonal, which makes v unique.

    Args:
        preferences: shape [m, r], a vector u in each column.
        products: the Gramian G, shape [m, m].
        norm_eps: trace up to which all gradients count as zero.
        reg_eps: added to the diagonal of the normalised Gramian; with 0 the projection is exact.

    Returns:
        v, shape [m, r].
    """
    trace = products.diagonal().sum()
    identity = torch.eye(products.shape[0], dtype=products.dtype, device=products.device)
    matrix = (
        torch.where(trace <= cast(norm_eps, trace), torch.zeros_like(products), products / trace)
        + cast(reg_eps, trace) * identity
    )
    return preferences + solve_complementarity(matrix, matrix @ preferences)
