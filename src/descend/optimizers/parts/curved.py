"""When a step tells of the curvature."""

import torch
from torch import Tensor

LEAST = 1e-10
"""The least cosine between a step and the change of the gradient. A bound on yᵀs itself, as 1e-10 in torch's L-BFGS,
would learn nothing of a function that is small, or close to its minimum."""


def curves(step: Tensor, change: Tensor) -> Tensor:
    """Return whether yᵀs > ε ‖y‖ ‖s‖, bool [], for a step s and a change y of the gradient, [n] each."""
    size = torch.linalg.vector_norm(step) * torch.linalg.vector_norm(change)
    return torch.dot(step, change) > LEAST * size
