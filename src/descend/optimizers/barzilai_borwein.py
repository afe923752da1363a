"""The Barzilai-Borwein step."""

from dataclasses import dataclass

import torch

from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.optimizer import Optimizer
from descend.scalars import real
from descend.types import Loss, Params, State
from descend.vectors import dot


@dataclass(frozen=True)
class BarzilaiBorwein(Optimizer):
    """x ← x − α g with α = sᵀy / yᵀy, or sᵀs / sᵀy, where s = x − x' and y = g − g' since the step before.

    Barzilai & Borwein, "Two-point step size gradient methods" (IMA J. Numer. Anal. 8, 1988), equations 5 and 6. In one
    dimension it is the secant method. α is `lr` at the first step, and where sᵀy is not above 0. It is for the whole
    data, not for batches, and f may rise on the way.

    Args:
        lr: the first step in gradients, > 0; a schedule multiplies it, and no other step.
        long: take sᵀs / sᵀy, which is never the shorter, and jumps far where a direction is nearly flat.
    """

    lr: float = 1e-3
    long: bool = False

    def init(self, params: Params) -> State:
        return {
            "point": {name: x.clone() for name, x in params.items()},
            "gradients": {name: torch.zeros_like(x) for name, x in params.items()},
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        s = {name: x - state["point"][name] for name, x in params.items()}
        y = {name: g - state["gradients"][name] for name, g in gradients.items()}
        curvature = real(dot(s, y))
        length = real(dot(s, s)) / curvature if self.long else curvature / real(dot(y, y))
        rate = torch.where(curvature > 0, length, real(self.lr))
        new = {name: add_scaled(x, gradients[name], -rate) for name, x in params.items()}
        point = {name: x.clone() for name, x in params.items()}
        return new, {"point": point, "gradients": {name: g.clone() for name, g in gradients.items()}}
