"""Rastrigin's function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Rastrigin(TestFunction):
    """f(x) = 10 n + Σᵢ xᵢ² − 10 cos(2πxᵢ).

    Rastrigin, "Systems of extremal control" (1974); in any dimension by Mühlenbein, Schomisch & Born, "The parallel
    genetic algorithm as function optimizer", Parallel Computing 17 (1991).
    """

    domain = ((-5.12, 5.12),)
    dims = (1, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        return (x * x + 10 * (1 - (2 * math.pi * x).cos())).sum()

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[0.0] * self.dim]
