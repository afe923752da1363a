"""Styblinski and Tang's function."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class StyblinskiTang(TestFunction):
    """f(x) = ½ Σᵢ xᵢ⁴ − 16 xᵢ² + 5 xᵢ: 2ⁿ minima, one of them lowest.

    Styblinski & Tang, "Experiments in nonconvex optimization: stochastic approximation with function smoothing and
    simulated annealing", Neural Networks 3 (1990). The minimiser is a root of 4x³ − 32x + 5.
    """

    domain = ((-5.0, 5.0),)
    dims = (1, None)

    def value(self, x: Tensor) -> Tensor:
        return (x**4 - 16 * x**2 + 5 * x).sum() / 2

    @property
    def minimum(self) -> float:
        return -39.16616570377141 * self.dim

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[-2.903534027771177] * self.dim]
