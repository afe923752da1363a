"""Wood's function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class Wood(SumOfSquares):
    """f = 100 (b − a²)² + (1 − a)² + 90 (d − c²)² + (1 − c)² + 10.1 ((b − 1)² + (d − 1)²) + 19.8 (b − 1)(d − 1).

    Colville, "A comparative study of nonlinear programming codes" (1968); no. 14 of Moré, Garbow & Hillstrom, "Testing
    unconstrained optimization software", ACM TOMS 7 (1981), which gives the start. x = (a, b, c, d).
    """

    domain = ((-10.0, 10.0),)
    dims = (4, 4)
    minimum = 0.0
    minimizers = ((1.0, 1.0, 1.0, 1.0),)

    dim: int = 4

    def value(self, x: Tensor) -> Tensor:
        a, b, c, d = x.unbind()
        valleys = 100 * (b - a**2) ** 2 + (1 - a) ** 2 + 90 * (d - c**2) ** 2 + (1 - c) ** 2
        return valleys + 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)

    def terms(self, x: Tensor) -> Tensor:
        a, b, c, d = x.unbind()
        valleys = [10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c]
        return torch.stack([*valleys, 10**0.5 * (b + d - 2), 10**-0.5 * (b - d)])

    def customary_start(self) -> Sequence[float]:
        return [-3.0, -1.0, -3.0, -1.0]
