"""Adadelta."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, moving_square
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import penalised
from descend.scalars import cast
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """v ← ρv + (1−ρ)g², d = g · √(u + ε) / √(v + ε), u ← ρu + (1−ρ)d², x ← x − lr · d.

    Zeiler, "ADADELTA: An Adaptive Learning Rate Method" (2012), Algorithm 1, where lr is 1.

    Args:
        lr: factor on the step, > 0.
        rho: decay of both averages, in [0, 1].
        eps: added under both roots, ≥ 0; with 0 the method never leaves its start.
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1.0
    rho: float = 0.9
    eps: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "rho", at_least=0, at_most=1)
        check_number(self, "eps", at_least=0)
        check_number(self, "weight_decay", at_least=0)

    def init(self, params: Params) -> State:
        return {
            "square": {name: torch.zeros_like(x) for name, x in params.items()},
            "change": {name: torch.zeros_like(x) for name, x in params.items()},
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        gradients = penalised(gradients, params, self.weight_decay)
        new, square, change = {}, {}, {}
        for name, x in params.items():
            g = gradients[name]
            square[name] = moving_square(state["square"][name], g, self.rho)
            delta = self.root(state["change"][name]).div_(self.root(square[name])).mul_(g)
            change[name] = moving_square(state["change"][name], delta, self.rho)
            new[name] = add_scaled(x, delta, -self.lr)
        return new, {"square": square, "change": change}

    def root(self, mean_square: Tensor) -> Tensor:
        """√(mean square + ε), on memory of its own."""
        return (mean_square + cast(self.eps, mean_square)).sqrt_()
