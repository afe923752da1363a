"""Two losses that conflict along a ridge, on which some methods stall."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.objectives.pareto_problem import ParetoProblem

# The five starts of the paper's figure, in the same order; the fourth and fifth lie close to the ridge x₂ = 0.
STARTS = ((-8.5, 7.5), (0.0, 0.0), (9.0, 9.0), (-7.5, -0.5), (9.0, -1.0))

# Newton's method on δ sinh(8 + δ) reaches rounding in seven steps from 0.4, wherever x₁ is in [−7, 7].
NEWTON_STEPS = 12


@dataclass(frozen=True)
class CAGradToy(ParetoProblem):
    """Lᵢ = cᵤ(x₂) log max(|…|, 5e-6) above the ridge x₂ = 0, and a bowl below; the losses conflict along the ridge.

    With c₁ = max(tanh(x₂/2), 0), c₂ = max(tanh(−x₂/2), 0) and Lᵢ = fᵢ c₁ + qᵢ c₂:
    f₁ = log max(|½(−x₁ − 7) − tanh(−x₂)|, 5e-6) + 6, f₂ = log max(|½(−x₁ + 3) + tanh(−x₂) + 2|, 5e-6) + 6,
    q₁ = ((−x₁ + 7)² + 0.1 (−x₂ − 8)²)/10 − 20, q₂ the same of (−x₁ − 7)².
    Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning" (NeurIPS 2021), section 5.1 and appendix B,
    where L₁ is scaled by 0.1 and Adam makes 35,000 steps of 0.001 from each of `STARTS`.

    Args:
        scale: factor on L₁, > 0; the Pareto set does not depend on it.
    """

    domain = ((-10.0, 10.0),)

    scale: float = 0.1

    def values(self, x: Tensor) -> tuple[Tensor, ...]:
        x1, x2 = x[0], x[1]
        above, below = (x2 / 2).tanh().clamp(min=0), (-x2 / 2).tanh().clamp(min=0)
        first = (0.5 * (-x1 - 7) - (-x2).tanh()).abs().clamp(min=5e-6).log() + 6
        second = (0.5 * (-x1 + 3) + (-x2).tanh() + 2).abs().clamp(min=5e-6).log() + 6
        bowl = 0.1 * (-x2 - 8) ** 2
        first_bowl = ((-x1 + 7) ** 2 + bowl) / 10 - 20
        second_bowl = ((-x1 - 7) ** 2 + bowl) / 10 - 20
        return self.scale * (first * above + first_bowl * below), second * above + second_bowl * below

    def customary_start(self) -> list[float]:
        return list(STARTS[0])

    def pareto_set(self, count: int) -> Tensor:
        """Return `count` points (x₁, −8 − δ), x₁ ∈ [−7, 7], where the two gradients point in opposite directions.

        Their cross product is 0 where δ sinh(8 + δ)/50 = x₁²/10 + 15.1 − δ²/100.
        """
        x1 = torch.linspace(-7, 7, count, dtype=torch.float64, device="cpu")
        δ = torch.full_like(x1, 0.4)
        for _ in range(NEWTON_STEPS):
            residual = δ * (8 + δ).sinh() / 50 + δ**2 / 100 - x1**2 / 10 - 15.1
            slope = ((8 + δ).sinh() + δ * (8 + δ).cosh()) / 50 + δ / 50
            δ = δ - residual / slope
        return torch.stack([x1, -8 - δ], dim=1)
