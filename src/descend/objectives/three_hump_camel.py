"""The three-hump camel."""

from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class ThreeHumpCamel(TestFunction):
    """f(x, y) = 2x² − 1.05x⁴ + x⁶/6 + xy + y².

    Branin, "Widely convergent method for finding multiple solutions of simultaneous nonlinear equations", IBM Journal
    of Research and Development 16 (1972).
    """

    domain = ((-5.0, 5.0),)
    minimum = 0.0
    minimizers = ((0.0, 0.0),)

    def value(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2
