"""Lion: evolved sign momentum."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number, check_pair
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Lion(Optimizer):
    """x ← (1 − lr · λ)x − lr · sign(β₁m + (1−β₁)g), then m ← β₂m + (1−β₂)g.

    Chen et al., "Symbolic Discovery of Optimization Algorithms" (NeurIPS 2023), Algorithm 2; defaults from there.

    Args:
        lr: learning rate, > 0: every entry moves by exactly this much, so it wants a tenth of Adam's.
        betas: weight of the momentum in the step, and its decay, each in [0, 1).
        weight_decay: λ ≥ 0, decoupled.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "betas", at_least=0, below=1)
        check_number(self, "weight_decay", at_least=0)

    def init(self, params: Params) -> State:
        return {"momentum": {name: torch.zeros_like(x) for name, x in params.items()}}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        momentum = state["momentum"]
        new = {
            name: add_scaled(x, moving_average(momentum[name], gradients[name], beta1).sign_(), -self.lr)
            for name, x in decayed(params, self.weight_decay, self.lr).items()
        }
        return new, {"momentum": {name: moving_average(momentum[name], g, beta2) for name, g in gradients.items()}}
