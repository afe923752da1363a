"""Goldstein and Price's function."""

from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class GoldsteinPrice(TestFunction):
    """f(x, y) = (1 + (x + y + 1)² (19 − 14x + 3x² − 14y + 6xy + 3y²)) · (30 + (2x − 3y)² (18 − 32x + 12x² + 48y −
    36xy + 27y²)).

    Goldstein & Price, "On descent from local minima", Mathematics of Computation 25 (1971).
    """

    domain = ((-2.0, 2.0),)
    minimum = 3.0
    minimizers = ((0.0, -1.0),)

    def value(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        first = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
        second = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
        return first * second
