"""Ackley's function."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Ackley(TestFunction):
    """f(x) = −20 exp(−0.2 √(Σ xᵢ²/n)) − exp(Σ cos(2πxᵢ)/n) + 20 + e.

    Ackley, "A connectionist machine for genetic hillclimbing" (1987), in Bäck's form of any dimension (1996). The
    minimum is the tip of a cone and has no derivative. The gradient there is set to 0, which is a subgradient.
    """

    domain = ((-32.768, 32.768),)
    dims = (1, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        square = (x * x).mean()
        nonzero = square > 0
        radius = torch.where(nonzero, torch.where(nonzero, square, 1).sqrt(), 0)
        ripples = (2 * math.pi * x).cos().mean()
        return 20 * (1 - (-0.2 * radius).exp()) + math.e - ripples.exp()

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[0.0] * self.dim]
