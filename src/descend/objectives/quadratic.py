"""A quadratic of a chosen condition number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Quadratic(TestFunction):
    """f(x) = ½ Σᵢ λᵢ (Qᵀx)ᵢ²: a bowl whose Hessian Q diag(λ) Qᵀ has the eigenvalues λᵢ = κ^((i−1)/(n−1)), 1 to κ.

    The rate of gradient descent and of momentum is a function of κ alone: Nesterov, "Introductory lectures on convex
    optimization" (2004), theorem 2.1.15. The domain is ±5; the start (1, …, 1) weighs all axes alike.

    Args:
        condition: κ ≥ 1, largest over smallest eigenvalue; in one dimension λ = 1 whatever κ.
        rotation_seed: draws the orthogonal Q, uniform over all rotations and reflections, the same one for every run;
            None leaves the axes as they are, Q = 1.

    Attributes:
        exponents: (i−1)/(n−1), shape [dim].
        rotation: Q, shape [dim, dim], or None.
    """

    domain = ((-5.0, 5.0),)
    dims = (1, None)
    minimum = 0.0
    exponents: ClassVar[Tensor]
    rotation: ClassVar[Tensor | None]

    condition: float = 100.0
    rotation_seed: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "condition", at_least=1)
        exponents = torch.linspace(0, 1, self.dim, dtype=torch.float64, device="cpu")
        object.__setattr__(self, "exponents", exponents)
        rotation = None if self.rotation_seed is None else draw_orthogonal(self.dim, self.rotation_seed)
        object.__setattr__(self, "rotation", rotation)

    def value(self, x: Tensor) -> Tensor:
        along = x if self.rotation is None else x @ self.rotation
        return (self.condition**self.exponents * along**2).sum() / 2

    def customary_start(self) -> Sequence[float]:
        return [1.0] * self.dim

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[0.0] * self.dim]


def draw_orthogonal(dim: int, seed: int) -> Tensor:
    """Return an orthogonal matrix [dim, dim], float64, from the uniform (Haar) distribution.

    Mezzadri, "How to generate random matrices from the classical compact groups", Notices of the AMS 54 (2007): the
    QR factorisation of a Gaussian matrix, its signs fixed by the diagonal of R.
    """
    generator = torch.Generator(device="cpu").manual_seed(seed)
    gaussian = torch.randn(dim, dim, generator=generator, dtype=torch.float64, device="cpu")
    q, r = torch.linalg.qr(gaussian)
    return q * r.diagonal().sign()
