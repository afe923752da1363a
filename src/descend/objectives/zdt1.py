"""A convex front on the edge of a box."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.pareto_problem import ParetoProblem


@dataclass(frozen=True)
class Zdt1(ParetoProblem):
    """f₁ = x₁, f₂ = g (1 − √(f₁/g)) with g = 1 + 9/(n−1) Σ_{i≥2} xᵢ, on the box [0, 1]ⁿ.

    Zitzler, Deb & Thiele, "Comparison of Multiobjective Evolutionary Algorithms: Empirical Results", Evolutionary
    Computation 8 (2000), equation 7. Pareto set: xᵢ = 0 for i ≥ 2; front: f₂ = 1 − √f₁.

    At x₁ = 0, and outside the box, where f₁ has its minimum, the slope of √f₁ is set to 0. Its true value is infinite,
    and infinity times 0, the slope of the box's clamp, is NaN: a step across the edge would be lost.

    Args:
        dim: number of variables, at least 2; 30 in the paper.
    """

    domain = ((0.0, 1.0),)
    dims = (2, None)
    boxed = True

    dim: int = 30

    def values(self, x: Tensor) -> tuple[Tensor, ...]:
        g = 1 + 9 / (self.dim - 1) * x[1:].sum()
        ratio = x[0] / g
        inside = ratio > 0
        return x[0], g * (1 - torch.where(inside, torch.where(inside, ratio, 1).sqrt(), 0))

    def customary_start(self) -> list[float]:
        return [0.5] * self.dim

    def pareto_set(self, count: int) -> Tensor:
        points = torch.zeros(count, self.dim, dtype=torch.float64, device="cpu")
        points[:, 0] = torch.linspace(0, 1, count, dtype=torch.float64, device="cpu")
        return points
