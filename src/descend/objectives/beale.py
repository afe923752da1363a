"""Beale's function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class Beale(SumOfSquares):
    """f(x, y) = Σᵢ (cᵢ − x (1 − yⁱ))², i = 1, 2, 3, with c = 1.5, 2.25, 2.625.

    Beale, "On an iterative method for finding a local minimum of a function of more than one variable" (1958); no. 5 of
    Moré, Garbow & Hillstrom, "Testing unconstrained optimization software", ACM TOMS 7 (1981), which gives the start.
    """

    domain = ((-4.5, 4.5),)
    minimum = 0.0
    minimizers = ((3.0, 0.5),)

    def terms(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return torch.stack([1.5 - x * (1 - y), 2.25 - x * (1 - y**2), 2.625 - x * (1 - y**3)])

    def customary_start(self) -> Sequence[float]:
        return [1.0, 1.0]
