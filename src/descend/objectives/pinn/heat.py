"""The heat equation on a rod."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.solution import Solution


@dataclass(frozen=True)
class Heat(Equation):
    """u_t = α u_xx on [0, 1]², with u = 0 at both ends of the rod and u = sin πx at t = 0: u = exp(−π²αt) sin πx.

    Args:
        diffusivity: α > 0.
    """

    variables = "xt"
    domain = ((0.0, 1.0), (0.0, 1.0))

    diffusivity: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "diffusivity", above=0)

    def residual(self, u: Solution, points: Tensor) -> Tensor:
        u_t, u_xx = u(points, "u_t", "u_xx")
        return u_t - self.diffusivity * u_xx

    def conditions(self, u: Solution) -> dict[str, Tensor]:
        start = self.face(t=0.0)
        return {"bc": u(self.face(x=(0.0, 1.0)), "u"), "ic": u(start, "u") - self.exact(start)}

    def exact(self, points: Tensor) -> Tensor:
        x, t = points.unbind(1)
        return torch.exp(-(math.pi**2) * self.diffusivity * t) * torch.sin(math.pi * x)
