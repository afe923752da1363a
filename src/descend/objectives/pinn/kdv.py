"""The Korteweg–de Vries equation."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from descend.objectives.networks import MLP, Network
from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.solution import Solution


@dataclass(frozen=True)
class Kdv(Equation):
    """u_t + 6 u u_x + u_xxx = 0 on [−5, 7] × [0, 2]: one soliton of speed 1, u = ½ sech²((x − t)/2).

    Conditions: u at t = 0 (`ic`), u at both ends (`bc`) and u_x at the right end (`bc_x`), all from the soliton.
    """

    variables = "xt"
    domain = ((-5.0, 7.0), (0.0, 2.0))

    network: Network = field(default_factory=lambda: MLP((32, 32, 32), torch.tanh))
    points: int = 400
    weights: dict[str, float] = field(default_factory=lambda: {"bc": 10.0, "bc_x": 10.0, "ic": 10.0})

    def residual(self, u: Solution, points: Tensor) -> Tensor:
        value, u_t, u_x, u_xxx = u(points, "u", "u_t", "u_x", "u_xxx")
        return u_t + 6 * value * u_x + u_xxx

    def conditions(self, u: Solution) -> dict[str, Tensor]:
        start, ends, right = self.face(t=0.0), self.face(x=(-5.0, 7.0)), self.face(x=7.0)
        return {
            "bc": u(ends, "u") - self.exact(ends),
            "bc_x": u(right, "u_x") + self.exact(right) * torch.tanh((right[:, 0] - right[:, 1]) / 2),
            "ic": u(start, "u") - self.exact(start),
        }

    def exact(self, points: Tensor) -> Tensor:
        x, t = points.unbind(1)
        return 0.5 / torch.cosh((x - t) / 2) ** 2
