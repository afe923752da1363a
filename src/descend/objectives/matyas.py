"""Matyas's function."""

from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Matyas(TestFunction):
    """f(x, y) = 0.26 (x² + y²) − 0.48 xy: a quadratic of condition number 25, turned by 45°.

    Matyas, "Random optimization", Automation and Remote Control 26 (1965).
    """

    domain = ((-10.0, 10.0),)
    minimum = 0.0
    minimizers = ((0.0, 0.0),)

    def value(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return 0.26 * (x**2 + y**2) - 0.48 * x * y
