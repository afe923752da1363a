"""Determinants, inverses and solutions of linear systems.

With A(t) X(t) = B(t), row k is A_0 X_k = B_k − Σ_j A_j X_{k−j}, 0 < j ≤ k: one matrix for all orders (Griewank &
Walther, § 13.2, of division). Torch's own det gives NaN from the third derivative on.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from descend.derivatives.series.fused import FROM_THE_THIRD
from descend.derivatives.series.rules import functions_named, primitive
from descend.derivatives.series.series import Series, Variable

SMALL = 4
"""Up to this size a determinant is a polynomial of the entries, right at singular matrices too."""


def det(a: Tensor, log_det: Callable[[Tensor], Any] = torch.linalg.slogdet) -> Tensor:
    """det A [*] of A [*, n, n]: by Faddeev and LeVerrier's recursion up to 4 × 4, beyond as sign · e^(log |det A|)."""
    size = a.shape[-1]
    if size > SMALL:
        sign, logarithm = log_det(a)
        return sign * torch.exp(logarithm)
    unit = torch.eye(size, dtype=a.dtype, device=a.device)
    power, coefficient = torch.zeros_like(unit), torch.ones((), dtype=a.dtype, device=a.device)
    for k in range(1, size + 1):
        power = torch.matmul(a, power) + coefficient * unit
        coefficient = -(torch.matmul(a, power) * unit).sum((-2, -1), keepdim=True) / k
    return ((-1) ** size * coefficient).reshape(a.shape[:-2])


def _solution(t: Variable, a: Tensor, b: Tensor) -> Tensor:
    """The rows of X with A X = B, matrices [*, n, n] and [*, n, m]."""
    rows, right = t.rows(a).unbind(0), t.rows(b).unbind(0)
    found: list[Tensor] = []
    for k in range(t.order + 1):
        terms = [torch.matmul(rows[j], found[k - j]) for j in range(1, min(k, len(rows) - 1) + 1)]
        first = right[k] if k < len(right) else torch.zeros_like(right[0])
        found.append(torch.linalg.solve(rows[0], first - sum(terms) if terms else first))
    return torch.stack(torch.broadcast_tensors(*found))


@primitive(torch.linalg.solve)
def solve(t: Variable, A: Tensor, B: Tensor, *, left: bool = True) -> Any:
    """X with A X = B, or X A = B."""
    if not left:
        return solve(t, A.mT, B.mT).mT
    vector = B.dim() == 1 or B.shape == A.shape[:-1]
    rows = t.series(_solution(t, A, B.unsqueeze(-1) if vector else B))
    return rows.squeeze(-1) if vector else rows


@primitive(*functions_named("inverse"), torch.linalg.inv)
def inverse(t: Variable, a: Series) -> Tensor:
    """A⁻¹."""
    unit = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    return t.series(_solution(t, a, unit))


def _slogdet(t: Variable, a: Series) -> tuple[Tensor, Tensor]:
    """The sign and log |det A|, whose derivative is tr(A⁻¹ A′)."""
    unit = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    rows, inverted = a.coefficients.unbind(0), _solution(t, a, unit).unbind(0)
    sign, first = torch.linalg.slogdet(rows[0])
    found = [first]
    for k in range(1, t.order + 1):
        terms = [j / k * (inverted[k - j].mT * rows[j]).sum((-2, -1)) for j in range(1, min(k, len(rows) - 1) + 1)]
        found.append(sum(terms[1:], terms[0]) if terms else torch.zeros_like(first))
    return sign, t.series(torch.stack(found))


@primitive(torch.linalg.slogdet, *functions_named("slogdet"))
def slogdet(t: Variable, a: Series) -> Any:
    """Sign and logarithm, in torch's named tuple."""
    if a.is_complex():
        return NotImplemented
    return type(torch.linalg.slogdet(a.coefficients[0]))(_slogdet(t, a))


@primitive(*functions_named("logdet"))
def logdet(t: Variable, a: Series) -> Tensor:
    """log det A; NaN where the determinant is negative, as in torch."""
    sign, logarithm = _slogdet(t, a)
    return torch.where(sign < 0, torch.nan, logarithm)


@primitive(torch.linalg.det, *functions_named("det"))
def determinant(t: Variable, a: Series) -> Any:
    """det A."""
    return NotImplemented if a.is_complex() else det(a, lambda _: _slogdet(t, a))


FROM_THE_THIRD.update(dict.fromkeys((torch.linalg.det, *functions_named("det")), det))
