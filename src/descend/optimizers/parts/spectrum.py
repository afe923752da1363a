"""A symmetric matrix by its eigenvalues, and steps that are made of them."""

from typing import NamedTuple

import torch
from torch import Tensor

NEWTON_STEPS = 12
"""Of the equation for the length; each about doubles the digits."""


class Eigenbasis(NamedTuple):
    """Eigenvalues [n], ascending, and eigenvectors [n, n] in columns; NaN of a matrix that is not finite."""

    values: Tensor
    vectors: Tensor

    @classmethod
    def of(cls, matrix: Tensor) -> "Eigenbasis":
        """Decompose a symmetric matrix [n, n]; LAPACK would refuse one that is not finite."""
        finite = matrix.isfinite().all()
        values, vectors = torch.linalg.eigh(torch.where(finite, matrix, 0))
        return cls(torch.where(finite, values, torch.nan), vectors)


def within_radius(values: Tensor, slopes: Tensor, radius: Tensor) -> Tensor:
    """Return the minimiser of Σ gᵢ pᵢ + ½ Σ λᵢ pᵢ² over ‖p‖ ≤ Δ, [n]; λ [n] ascends.

    pᵢ = −gᵢ / (λᵢ + μ), where μ = 0 or ‖p‖ = Δ: Moré & Sorensen, "Computing a trust region step" (SIAM J. Sci. Stat.
    Comput. 4, 1983); Nocedal & Wright, "Numerical Optimization", section 4.3.
    """
    bound = (slopes.abs() / radius - values).amax()
    return shifted(values, slopes, bound, radius, torch.zeros_like(radius))


def with_cubic(values: Tensor, slopes: Tensor, radius: Tensor) -> Tensor:
    """Return the minimiser of Σ gᵢ pᵢ + ½ Σ λᵢ pᵢ² + ‖p‖³ / 3r, [n]; λ [n] ascends.

    pᵢ = −gᵢ / (λᵢ + μ) with μ = ‖p‖ / r: Nesterov & Polyak, "Cubic regularization of Newton method and its global
    performance" (Math. Program. 108, 2006), section 5.
    """
    bound = ((values * values + 4 * slopes.abs() / radius).sqrt() - values).amax() / 2
    return shifted(values, slopes, bound, torch.zeros_like(radius), radius)


def shifted(values: Tensor, slopes: Tensor, bound: Tensor, radius: Tensor, growth: Tensor) -> Tensor:
    """Return pᵢ = −gᵢ / (λᵢ + μ), [n], of the least μ ≥ 0, −λ₁ at which ‖p‖ ≤ radius + growth · μ.

    1/‖p(μ)‖ − 1/(radius + growth · μ) rises and is concave in μ, so that Newton's method rises to its root from a
    `bound` below (Conn, Gould & Toint, "Trust-region methods", section 7.3). Where g has no part along a lowest λ < 0
    (the hard case) the first eigenvector takes p to the length that is allowed.
    """
    shift = torch.maximum(bound, (-values[0]).clamp(min=0))
    tiny = torch.finfo(values.dtype).eps * torch.maximum(values.abs().amax(), shift)
    for _ in range(NEWTON_STEPS):
        weights, allowed = values + shift, radius + growth * shift
        found = torch.where(weights > tiny, -slopes / weights, 0)
        length = torch.linalg.vector_norm(found)
        rate = torch.where(weights > tiny, found * found / weights, 0).sum()
        onward = shift + (1 / allowed - 1 / length) / (rate / length**3 + growth / (allowed * allowed))
        shift = torch.where(onward > shift, onward, shift)
    weights, allowed = values + shift, radius + growth * shift
    found = torch.where(weights > tiny, -slopes / weights, 0)
    rest = (allowed * allowed - (found[1:] * found[1:]).sum()).clamp(min=0).sqrt()
    lengthened = torch.cat([torch.where(slopes[:1] > 0, -rest, rest), found[1:]])
    return torch.where((values[0] < 0) & (weights[0] <= tiny), lengthened, found)


def by_dogleg(values: Tensor, slopes: Tensor, radius: Tensor) -> Tensor:
    """Return where the path from 0 by the Cauchy point to Newton's point leaves ‖p‖ ≤ Δ, or its end, [n].

    Powell, "A hybrid method for nonlinear equations" (1970); Nocedal & Wright, "Numerical Optimization", section 4.1.
    In place of eigenvalues λ [n] below 0 stand their sizes, and none is less than n rounding errors of the largest.
    """
    sizes = values.abs()
    sizes = torch.maximum(sizes, len(values) * torch.finfo(values.dtype).eps * sizes.amax())
    cauchy = -slopes * ((slopes * slopes).sum() / (sizes * slopes * slopes).sum())
    newton = -slopes / sizes
    across = newton - cauchy
    square, half = (across * across).sum(), (across * cauchy).sum()
    room = radius * radius - (cauchy * cauchy).sum()
    share = room / (half + (half * half + square * room).sqrt())
    length = torch.linalg.vector_norm(cauchy)
    bent = torch.where(length >= radius, cauchy * (radius / length), cauchy + share * across)
    return torch.where(torch.linalg.vector_norm(newton) <= radius, newton, torch.where(slopes == 0, 0, bent))
