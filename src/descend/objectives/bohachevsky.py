"""Bohachevsky's function."""

import math
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Bohachevsky(TestFunction):
    """f(x, y) = x² + 2y² − 0.3 cos(3πx) − 0.4 cos(4πy) + 0.7.

    Bohachevsky, Johnson & Stein, "Generalized simulated annealing for function optimization", Technometrics 28 (1986),
    their first function.
    """

    domain = ((-100.0, 100.0),)
    minimum = 0.0
    minimizers = ((0.0, 0.0),)

    def value(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return x**2 + 2 * y**2 - 0.3 * (3 * math.pi * x).cos() - 0.4 * (4 * math.pi * y).cos() + 0.7
