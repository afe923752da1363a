"""Zakharov's function."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.test_function import TestFunction


@dataclass(frozen=True)
class Zakharov(TestFunction):
    """f(x) = Σᵢ xᵢ² + s² + s⁴ with s = Σᵢ i xᵢ / 2.

    Rahnamayan, Tizhoosh & Salama, "A novel population initialization method for accelerating evolutionary algorithms",
    Computers & Mathematics with Applications 53 (2007).
    """

    domain = ((-5.0, 10.0),)
    dims = (1, None)
    minimum = 0.0

    def value(self, x: Tensor) -> Tensor:
        index = torch.arange(1, self.dim + 1, dtype=x.dtype, device=x.device)
        slope = (index * x).sum() / 2
        return (x * x).sum() + slope**2 + slope**4

    @property
    def minimizers(self) -> Sequence[Sequence[float]]:
        return [[0.0] * self.dim]
