"""Rosenbrock's valley."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class Rosenbrock(SumOfSquares):
    """f(x) = Σᵢ b (xᵢ₊₁ − xᵢ²)² + (a − xᵢ)², i = 1…dim−1: a curved valley whose floor is nearly flat.

    Rosenbrock, "An automatic method for finding the greatest or least value of a function", The Computer Journal 3
    (1960); the sum over successive pairs in any dimension is the form used since Goldberg (1989).

    Args:
        a: the minimum in two dimensions is at (a, a²).
        b: steepness of the walls, ≥ 0.
    """

    domain = ((-2.048, 2.048),)
    dims = (2, None)

    a: float = 1.0
    b: float = 100.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "b", at_least=0)

    def value(self, x: Tensor) -> Tensor:
        head, tail = x[:-1], x[1:]
        return (self.b * (tail - head**2) ** 2 + (self.a - head) ** 2).sum()

    def terms(self, x: Tensor) -> Tensor:
        head, tail = x[:-1], x[1:]
        return torch.cat([self.b**0.5 * (tail - head**2), self.a - head])

    def customary_start(self) -> Sequence[float]:
        return [-1.2 if i % 2 == 0 else 1.0 for i in range(self.dim)]

    @property
    def minimum(self) -> float | None:
        return 0.0 if self.a == 1 or self.dim == 2 else None

    @property
    def minimizers(self) -> Sequence[Sequence[float]] | None:
        if self.dim == 2:
            return [[self.a, self.a**2]]
        return [[1.0] * self.dim] if self.a == 1 else None
