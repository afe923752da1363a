"""Poisson's equation on a line."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.solution import Solution


@dataclass(frozen=True)
class Poisson(Equation):
    """u″ = −π² sin πx on [−1, 1], with u = 0 at both ends: u = sin πx."""

    variables = "x"
    domain = ((-1.0, 1.0),)

    weights: dict[str, float] = field(default_factory=lambda: {"bc": 100.0})

    def residual(self, u: Solution, points: Tensor) -> Tensor:
        return u(points, "u_xx") + math.pi**2 * torch.sin(math.pi * points[:, 0])

    def conditions(self, u: Solution) -> dict[str, Tensor]:
        return {"bc": u(self.face(x=(-1.0, 1.0)), "u")}

    def exact(self, points: Tensor) -> Tensor:
        return torch.sin(math.pi * points[:, 0])
