"""Burgers' equation."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial.hermite import hermgauss
from torch import Tensor

from descend.checks import check_number
from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.solution import Solution

NODES = 120


@dataclass(frozen=True)
class Burgers(Equation):
    """u_t + u u_x = ν u_xx on [−1, 1] × [0, 1], with u = 0 at x = ±1 and u = −sin πx at t = 0: a front at x = 0.

    Cole (Quart. Appl. Math. 9, 1951) gives the exact solution; its integrals are computed by Gauss–Hermite quadrature
    as in Basdevant et al., "Spectral and finite difference solutions of the Burgers equation" (Computers & Fluids 14,
    1986).

    Args:
        viscosity: ν > 0.
    """

    variables = "xt"
    domain = ((-1.0, 1.0), (0.0, 1.0))

    points: int = 1000
    viscosity: float = 0.1 / math.pi

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "viscosity", above=0)

    def residual(self, u: Solution, points: Tensor) -> Tensor:
        value, u_t, u_x, u_xx = u(points, "u", "u_t", "u_x", "u_xx")
        return u_t + value * u_x - self.viscosity * u_xx

    def conditions(self, u: Solution) -> dict[str, Tensor]:
        start = self.face(t=0.0)
        return {
            "bc": u(self.face(x=(-1.0, 1.0)), "u"),
            "ic": u(start, "u") + torch.sin(math.pi * start[:, 0]),
        }

    def exact(self, points: Tensor) -> Tensor:
        """Return −∫ sin(πy) w dη / ∫ w dη at y = x − η, with w = exp(−cos(πy)/(2πν)) exp(−η²/(4νt))."""
        x, t = points.unbind(1)
        rule = torch.tensor(np.array(hermgauss(NODES)), dtype=x.dtype, device=x.device)
        nodes, weights = rule.unbind()
        y = math.pi * (x[:, None] - 2 * (self.viscosity * t).sqrt()[:, None] * nodes)
        exponent = -torch.cos(y) / (2 * math.pi * self.viscosity)
        # Subtract the largest exponent: a small viscosity would overflow.
        terms = weights * torch.exp(exponent - exponent.amax(1, keepdim=True))
        return -(terms * torch.sin(y)).sum(1) / terms.sum(1)
