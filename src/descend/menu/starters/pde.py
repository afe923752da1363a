"""A differential equation that a network is trained to solve. Change the equation, its domain and its conditions."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.solution import Solution


@dataclass(frozen=True)
class NewEquation(Equation):
    """u_t + speed · u_x = 0 on [0, 1]², with u = sin πx at t = 0: u = sin π(x − speed · t).

    Args:
        speed: of the wave. The other fields are those of `Equation`: network, points, edge_points, weights, mode.
    """

    # A letter for each coordinate, and its lowest and highest value.
    variables: ClassVar[str] = "xt"
    domain: ClassVar[tuple[tuple[float, float], ...]] = ((0.0, 1.0), (0.0, 1.0))

    weights: dict[str, float] = field(default_factory=lambda: {"ic": 10.0})
    speed: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()  # checks the other fields
        check_number(self, "speed")

    # What must be 0 inside the domain: the loss `res`. u(points, "u_t", "u_xx") gives derivatives by their names.
    def residual(self, u: Solution, points: Tensor) -> Tensor:
        u_t, u_x = u(points, "u_t", "u_x")
        return u_t + self.speed * u_x

    # What must be 0 on the edges, by name: a loss each. self.face(t=0.0) gives the points where t is 0.
    def conditions(self, u: Solution) -> dict[str, Tensor]:
        start, left = self.face(t=0.0), self.face(x=0.0)
        return {"ic": u(start, "u") - self.exact(start), "bc": u(left, "u") - self.exact(left)}

    # The solution, where it is known: the run then records the relative error. Remove this, and change `conditions`,
    # where it is not.
    def exact(self, points: Tensor) -> Tensor:
        x, t = points.unbind(1)
        return torch.sin(math.pi * (x - self.speed * t))
