"""Booth's function."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class Booth(SumOfSquares):
    """f(x, y) = (x + 2y − 7)² + (2x + y − 5)²: a quadratic of condition number 9.

    Jamil & Yang, "A literature survey of benchmark functions for global optimisation problems", Int. J. Mathematical
    Modelling and Numerical Optimisation 4 (2013), no. 17.
    """

    domain = ((-10.0, 10.0),)
    minimum = 0.0
    minimizers = ((1.0, 3.0),)

    def terms(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return torch.stack([x + 2 * y - 7, 2 * x + y - 5])
