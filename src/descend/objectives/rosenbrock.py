"""Rosenbrock's valley."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Rosenbrock(TestFunction):
    """f(x) = Σᵢ b (xᵢ₊₁ − xᵢ²)² + (a − xᵢ)², i = 1…dim−1: a curved valley whose floor is nearly flat.

    Rosenbrock, "An automatic method for finding the greatest or least value of a function", The Computer Journal 3
    (1960); the sum over successive pairs in any dimension is the form used since Goldberg (1989).

    Args:
        a: the minimum in two dimensions is at (a, a²).
        b: steepness of the walls.
    """

    domain = ((-2.048, 2.048),)
    dims = (2, None)

    a: float = 1.0
    b: float = 100.0

    def value(self, x: Tensor) -> Tensor:
        head, tail = x[:-1], x[1:]
        return (self.b * (tail - head**2) ** 2 + (self.a - head) ** 2).sum()

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
