"""Two bells side by side."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.pareto_problem import ParetoProblem


@dataclass(frozen=True)
class FonsecaFleming(ParetoProblem):
    """f₁ = 1 − exp(−Σᵢ (xᵢ − 1/√n)²), f₂ = 1 − exp(−Σᵢ (xᵢ + 1/√n)²): flat far from the two minima.

    Fonseca & Fleming, "An Overview of Evolutionary Algorithms in Multiobjective Optimization", Evolutionary Computation
    3 (1995). Pareto set: x₁ = … = xₙ = t with |t| ≤ 1/√n; front: f₂ = 1 − exp(−(2 − √(−ln(1 − f₁)))²).
    """

    domain = ((-4.0, 4.0),)
    dims = (1, None)

    def values(self, x: Tensor) -> tuple[Tensor, ...]:
        centre = self.dim**-0.5
        return -torch.expm1(-((x - centre) ** 2).sum()), -torch.expm1(-((x + centre) ** 2).sum())

    def customary_start(self) -> list[float]:
        return [1.0 if i % 2 == 0 else -0.5 for i in range(self.dim)]

    def pareto_set(self, count: int) -> Tensor:
        end = self.dim**-0.5
        return torch.linspace(-end, end, count, dtype=torch.float64, device="cpu")[:, None].expand(-1, self.dim)
