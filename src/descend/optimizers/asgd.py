"""ASGD: averaged stochastic gradient descent."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed, penalised
from descend.scalars import at_least, power, ratio
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class ASGD(Optimizer):
    """x ← (1 − λη)x − ηg with η = lr / (1 + λ · lr · (t−1))^α, and in the state the average of x from step t₀ on.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging" (SIAM J. Control and Optimization 1992);
    the decay of η is that of Bottou's SGD (version 2, 2011).

    Args:
        lr: learning rate, > 0.
        lambd: λ ≥ 0, decay of the parameters and of the learning rate.
        alpha: power of the decay of η, ≥ 0.
        t0: step from which the average is taken, ≥ 0.
        weight_decay: ≥ 0, an L2 penalty added to the gradient.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1e-2
    lambd: float = 1e-4
    alpha: float = 0.75
    t0: float = 1e6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("lambd", "alpha", "t0", "weight_decay"):
            check_number(self, field, at_least=0)

    def init(self, params: Params) -> State:
        return {"average": {name: torch.zeros_like(x) for name, x in params.items()}, "step": 0.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        gradients = penalised(gradients, params, self.weight_decay)
        rate = ratio(self.lr, power(1 + self.lambd * self.lr * state["step"], self.alpha))
        weight = ratio(1, at_least(state["step"] - self.t0, 1.0))
        shrunk = decayed(params, self.lambd, rate)
        new = {name: add_scaled(x, gradients[name], -rate) for name, x in shrunk.items()}
        average = {name: moving_average(state["average"][name], x, 1 - weight) for name, x in new.items()}
        return new, {"average": average, "step": state["step"] + 1}
