"""Levy's function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Levy(TestFunction):
    """f = sin²(πw₁) + Σᵢ₌₁ⁿ⁻¹ (wᵢ − 1)² (1 + 10 sin²(πwᵢ + 1)) + (wₙ − 1)² (1 + sin²(2πwₙ)), with w = 1 + (x − 1)/4.

    Levy & Montalvo, "The tunneling algorithm for the global minimization of functions", SIAM Journal on Scientific and
    Statistical Computing 6 (1985), in the form of Laguna & Martí (2005).
    """

    domain = ((-10.0, 10.0),)
    dims = (1, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        w = 1 + (x - 1) / 4
        head, last = w[:-1], w[-1]
        middle = (head - 1) ** 2 * (1 + 10 * (math.pi * head + 1).sin() ** 2)
        return (math.pi * w[0]).sin() ** 2 + middle.sum() + (last - 1) ** 2 * (1 + (2 * math.pi * last).sin() ** 2)

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[1.0] * self.dim]
