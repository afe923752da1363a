"""Signum: SGD by the sign of the momentum."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Signum(Optimizer):
    """m ← μm + (1−μ)g, x ← (1 − lr · λ)x − lr · sign(m); μ = 0 is signSGD.

    Bernstein et al., "signSGD: Compressed Optimisation for Non-Convex Problems" (ICML 2018), Algorithm 2; μ from there.

    Args:
        lr: learning rate, > 0: every entry moves by exactly this much.
        momentum: μ in [0, 1).
        weight_decay: λ ≥ 0, decoupled.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1e-4
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum", at_least=0, below=1)
        check_number(self, "weight_decay", at_least=0)

    def init(self, params: Params) -> State:
        return {"momentum": {name: torch.zeros_like(x) for name, x in params.items()}}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        momentum = {name: moving_average(state["momentum"][name], g, self.momentum) for name, g in gradients.items()}
        shrunk = decayed(params, self.weight_decay, self.lr)
        return {name: add_scaled(x, momentum[name].sign(), -self.lr) for name, x in shrunk.items()}, {
            "momentum": momentum
        }
