"""McCormick's function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class McCormick(TestFunction):
    """f(x, y) = sin(x + y) + (x − y)² − 1.5x + 2.5y + 1; on its domain the minimum is −√3/2 − π/3.

    McCormick, "Computability of global solutions to factorable nonconvex programs", Mathematical Programming 10 (1976).
    Outside the domain the function decreases without bound.
    """

    domain = ((-1.5, 4.0), (-3.0, 4.0))
    minimum = -math.sqrt(3) / 2 - math.pi / 3
    minimizers = ((0.5 - math.pi / 3, -0.5 - math.pi / 3),)

    def value(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return (x + y).sin() + (x - y) ** 2 - 1.5 * x + 2.5 * y + 1

    def customary_start(self) -> Sequence[float]:
        return [0.0, 0.0]
