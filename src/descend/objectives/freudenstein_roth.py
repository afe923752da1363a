"""Freudenstein and Roth's function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.sum_of_squares import SumOfSquares


@dataclass(frozen=True)
class FreudensteinRoth(SumOfSquares):
    """f(x, y) = (x − 13 + ((5 − y) y − 2) y)² + (x − 29 + ((y + 1) y − 14) y)².

    Freudenstein & Roth, "Numerical solution of systems of nonlinear equations", Journal of the ACM 10 (1963); no. 2 of
    Moré, Garbow & Hillstrom, "Testing unconstrained optimization software", ACM TOMS 7 (1981), which gives the start.
    From there most methods end in the local minimum 48.9842 at (11.41, −0.8968). No domain is published; ±20 holds
    both minima.
    """

    domain = ((-20.0, 20.0),)
    minimum = 0.0
    minimizers = ((5.0, 4.0),)

    def terms(self, x: Tensor) -> Tensor:
        x, y = x.unbind()
        return torch.stack([x - 13 + ((5 - y) * y - 2) * y, x - 29 + ((y + 1) * y - 14) * y])

    def customary_start(self) -> Sequence[float]:
        return [0.5, -2.0]
