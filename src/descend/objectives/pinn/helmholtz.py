"""Helmholtz's equation on a square."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from descend.checks import check_number
from descend.objectives.networks import MLP, Network
from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.solution import Solution


@dataclass(frozen=True)
class Helmholtz(Equation):
    """−u_xx − u_yy − k²u = k² sin kx sin ky on [0, 1]², with u = 0 on the edges: u = sin kx sin ky, k = 2πn.

    The network's output is multiplied by x(1 − x)y(1 − y), which is 0 on the edges: the residual is the only loss
    (Lagaris, Likas & Fotiadis, IEEE Trans. Neural Networks 9, 1998). The residual is divided by k², so that its size is
    that of u.

    Args:
        waves: n ≥ 1, the waves along a side.
    """

    variables = "xy"
    domain = ((0.0, 1.0), (0.0, 1.0))

    network: Network = field(default_factory=lambda: MLP((32, 32, 32), torch.tanh))
    points: int = 500
    waves: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "waves", at_least=1)

    def residual(self, u: Solution, points: Tensor) -> Tensor:
        value, u_xx, u_yy = u(points, "u", "u_xx", "u_yy")
        return (u_xx + u_yy) / (2 * math.pi * self.waves) ** 2 + value + self.exact(points)

    def transform(self, points: Tensor, outputs: Tensor) -> Tensor:
        edge = points * (1 - points)
        return outputs * (16 * edge[:, :1] * edge[:, 1:])

    def exact(self, points: Tensor) -> Tensor:
        return torch.sin(2 * math.pi * self.waves * points).prod(1)
