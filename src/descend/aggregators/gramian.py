"""The inner products of the losses' gradients, from which most methods choose their weights."""

import torch
from torch import Tensor


def gramian(jacobian: Tensor) -> Tensor:
    """Return G = J Jᵀ, shape [m, m], of a Jacobian of shape [m, n]; in float64 wherever the device has that."""
    products = jacobian @ jacobian.mT
    return products if products.device.type == "mps" else products.double()


def finite_or_identity(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return the square matrix, or the identity where an entry is not finite, and 0 or NaN, shape [], accordingly.

    LAPACK's decompositions raise on the first NaN, which in a stacked sweep would end all runs because of one. A caller
    decomposes the first value and adds the second to the result.
    """
    finite = torch.isfinite(matrix).all()
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    mark = torch.where(finite, torch.zeros_like(matrix[0, 0]), torch.full_like(matrix[0, 0], torch.nan))
    return torch.where(finite, matrix, identity), mark
