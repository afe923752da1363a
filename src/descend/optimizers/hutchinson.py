"""Hutchinson's estimate of the Hessian's diagonal."""

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.derivatives.products import HessianProduct
from descend.types import Loss, Params


def random_signs(params: Params) -> Tensor:
    """Draw a vector of +1 and −1, each as likely as the other, [n]."""
    return torch.randint_like(ravel(params), 2) * 2 - 1


def random_normals(params: Params) -> Tensor:
    """Draw a vector of normal numbers, [n]."""
    return torch.randn_like(ravel(params))


def diagonal_estimate(loss: Loss, params: Params, probe: Tensor) -> Params:
    """Return z ⊙ ∇²f(x) z by name, whose mean over probes z [n] with E[zzᵀ] = I is the Hessian's diagonal.

    Hutchinson, "A stochastic estimator of the trace of the influence matrix" (Commun. Stat. 18, 1989); for the diagonal
    Bekas, Kokiopoulou & Saad (Appl. Numer. Math. 57, 2007). It costs a gradient with its graph and a product.
    """
    return unravel(probe * HessianProduct(loss, params)(probe), params)
