"""The six-hump camel."""

from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class SixHumpCamel(TestFunction):
    """f(x, y) = (4 − 2.1x² + x⁴/3) x² + xy + (4y² − 4) y².

    Dixon & Szegő, "The global optimization problem: an introduction", Towards Global Optimisation 2 (1978). The minimum
    is given to double precision.
    """

    domain = ((-3.0, 3.0), (-2.0, 2.0))
    minimum = -1.0316284534898774
    minimizers = ((0.08984201310031806, -0.7126564030207396), (-0.08984201310031806, 0.7126564030207396))

    def value(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2
