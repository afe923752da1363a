"""Griewank's function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Griewank(TestFunction):
    """f(x) = 1 + Σᵢ xᵢ²/4000 − Πᵢ cos(xᵢ/√i).

    Griewank, "Generalized descent for global optimization", Journal of Optimization Theory and Applications 34 (1981).
    """

    domain = ((-600.0, 600.0),)
    dims = (1, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        index = torch.arange(1, self.dim + 1, dtype=x.dtype, device=x.device)
        return 1 + (x * x).sum() / 4000 - product((x / index.sqrt()).cos())

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[0.0] * self.dim]


def product(factors: Tensor) -> Tensor:
    """Return the product, shape [], of factors [n], computed by halves.

    The derivative of torch.prod looks for zeros among the values, which can be neither traced nor batched.
    """
    while len(factors) > 1:
        half = len(factors) // 2
        factors = torch.cat([factors[:half] * factors[half : 2 * half], factors[2 * half :]])
    return factors[0]
