"""Easom's function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Easom(TestFunction):
    """f(x, y) = −cos x cos y exp(−(x − π)² − (y − π)²): flat except for a pit of width 1.

    Easom, "A survey of global optimization techniques" (1990). The start (2, 2) lies inside the pit: on the plain
    around it every derivative is 0 in floating point, so that no gradient leads to the pit.
    """

    domain = ((-100.0, 100.0),)
    minimum = -1.0
    minimizers = ((math.pi, math.pi),)

    def value(self, x: Tensor) -> Tensor:
        return -x.cos()[0] * x.cos()[1] * (-((x - math.pi) ** 2).sum()).exp()

    def customary_start(self) -> Sequence[float]:
        return [2.0, 2.0]
