"""Branin's function."""

import math
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Branin(TestFunction):
    """f(x, y) = (y − 5.1/(4π²) x² + 5/π x − 6)² + 10 (1 − 1/(8π)) cos x + 10; the minimum is 5/(4π).

    Branin, "Widely convergent method for finding multiple solutions of simultaneous nonlinear equations", IBM Journal
    of Research and Development 16 (1972); domain of Dixon & Szegő (1978).
    """

    domain = ((-5.0, 10.0), (0.0, 15.0))
    minimum = 5 / (4 * math.pi)
    minimizers = ((-math.pi, 12.275), (math.pi, 2.275), (3 * math.pi, 2.475))

    def value(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        valley = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
        return valley**2 + 10 * (1 - 1 / (8 * math.pi)) * x.cos() + 10
