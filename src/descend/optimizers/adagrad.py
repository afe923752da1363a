"""Adagrad."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_quotient, root_plus
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import penalised
from descend.scalars import cast, ratio
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """s ← s + g², x ← x − lr / (1 + (t−1)η) · g / (√s + ε), t = 1, 2, …

    Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization" (JMLR 2011),
    Figure 1, with diagonal matrices.

    Args:
        lr: learning rate, > 0.
        lr_decay: η ≥ 0, a decay of the learning rate beyond Adagrad's own.
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient.
        initial_accumulator_value: s before the first step, ≥ 0.
        eps: added to the denominator, ≥ 0.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1e-2
    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            check_number(self, field, at_least=0)

    def init(self, params: Params) -> State:
        start = {name: torch.zeros_like(x) + cast(self.initial_accumulator_value, x) for name, x in params.items()}
        return {"sum": start, "step": 0.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        gradients = penalised(gradients, params, self.weight_decay)
        rate = ratio(self.lr, 1 + state["step"] * self.lr_decay)
        total = {name: s.addcmul(gradients[name], gradients[name]) for name, s in state["sum"].items()}
        new = {
            name: add_quotient(x, gradients[name], root_plus(total[name], self.eps), -rate)
            for name, x in params.items()
        }
        return new, {"sum": total, "step": state["step"] + 1}
