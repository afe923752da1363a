"""Schwefel's function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Schwefel(TestFunction):
    """f(x) = 418.9828872724337 n − Σᵢ xᵢ sin √|xᵢ|, the minimum shifted to 0.

    Schwefel, "Numerical optimization of computer models" (1981), problem 2.26. Outside the domain the function
    decreases without bound. At xᵢ = 0 the first derivative is 0; the second does not exist and is set to 0.
    """

    domain = ((-500.0, 500.0),)
    dims = (1, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        nonzero = x != 0
        root = torch.where(nonzero, torch.where(nonzero, x, 1).abs().sqrt(), 0)
        return (418.9828872724337 - x * root.sin()).sum()

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[420.96874635998205] * self.dim]
