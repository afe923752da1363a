"""Himmelblau's function."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class Himmelblau(SumOfSquares):
    """f(x, y) = (x² + y − 11)² + (x + y² − 7)²: four minima of equal height.

    Himmelblau, "Applied nonlinear programming" (1972). Three of the minimisers are roots of a cubic, given to double
    precision.
    """

    domain = ((-5.0, 5.0),)
    minimum = 0.0
    minimizers = (
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.2831859912861696),
        (3.5844283403304917, -1.8481265269644036),
    )

    def terms(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return torch.stack([x**2 + y - 11, x + y**2 - 7])
