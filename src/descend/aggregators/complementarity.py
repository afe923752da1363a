"""Small quadratic programs over the positive orthant, solved exactly in a fixed number of operations."""

import torch
from torch import Tensor

from descend.errors import ConfigurationError

# 2^m faces are looked at; beyond ten losses that is dearer than the gradients.
MOST_LOSSES = 10

# A pivot of a matrix with unit diagonal below this is rounding, and its face has no solution of its own.
SMALLEST_PIVOT = 1e-13


def check_few(names: tuple[str, ...], method: str) -> None:
    """Require at most ten losses.

    Raises:
        ConfigurationError: naming the method and the number of losses.
    """
    if len(names) > MOST_LOSSES:
        raise ConfigurationError(
            f"There are {len(names)} losses, but {method} is solved exactly for at most {MOST_LOSSES}; add some of "
            "the losses up, or choose another aggregator (imtl_g, aligned_mtl, pcgrad…)."
        )


def solve_complementarity(matrix: Tensor, offset: Tensor) -> Tensor:
    """Return z ≥ 0 with M z + q ≥ 0 and zᵀ(M z + q) = 0, which minimises ½ zᵀM z + qᵀz over z ≥ 0.

    Every solution of this linear complementarity problem lies on a face: some zᵢ are zero, the rest solve their rows of
    M z + q = 0. All 2^m faces are found at once by principal pivots (Cottle, Pang & Stone, "The Linear Complementarity
    Problem", 1992, section 2.3): pivot k is made in one copy of the tableau and left out in the other. The face that
    violates its signs least is the answer. Exact up to rounding, and of one shape whatever the values.

    Args:
        matrix: M, symmetric positive semi-definite, shape [m, m].
        offset: q, shape [m, r]: r problems with one matrix.

    Returns:
        z, shape [m, r]; one solution where M is singular and there are many.
    """
    m = matrix.shape[0]
    diagonal = matrix.diagonal()
    # With a unit diagonal, z and M z + q have the same unit, so that their signs can be compared.
    scale = torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal)).rsqrt()[:, None]
    tableau = torch.cat([scale * matrix * scale.mT, scale * offset], dim=1)[None]
    regular = torch.ones_like(tableau[:, 0, 0], dtype=torch.bool)
    unit = torch.eye(m, dtype=matrix.dtype, device=matrix.device)
    for k in range(m):
        column, rest = tableau[..., 0], tableau[..., 1:]
        pivot = column[:, k]
        enough = pivot > SMALLEST_PIVOT
        row = rest[:, k] / torch.where(enough, pivot, torch.ones_like(pivot))[:, None]
        swept = rest - (column + unit[k])[..., None] * row[:, None]
        tableau, regular = torch.cat([rest, swept]), torch.cat([regular, regular & enough])
    return scale * _least_violated(tableau, regular)


def _least_violated(faces: Tensor, regular: Tensor) -> Tensor:
    """Return z, shape [m, r], of the best of 2^m faces, shape [2^m, m, r]; bit k of a face's index marks zₖ > 0."""
    m = faces.shape[1]
    worst = faces.amin(dim=1)
    worst = torch.where(regular[:, None], worst, torch.full_like(worst, -torch.inf))
    best = worst.argmax(dim=0)
    values = faces.gather(0, best.expand(1, m, -1))[0]
    bits = torch.arange(m, dtype=torch.int64, device=faces.device)[:, None]
    positive = (best[None] >> bits) & 1 == 1
    # A NaN must stay one: the comparison inside clamp keeps it, that of `where` on its value would not.
    return torch.where(positive, values.clamp(min=0), 0 * values)
