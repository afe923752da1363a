"""Adamax."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number, check_pair
from descend.optimizers.arithmetic import add_quotient, moving_average, scaled
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import penalised
from descend.scalars import cast, ratio
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Adamax(Optimizer):
    """m ← β₁m + (1−β₁)g, u ← max(β₂u, |g| + ε), x ← x − lr / (1−β₁ᵗ) · m / u.

    Kingma & Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015), section 7.1, Algorithm 2: Adam with the
    infinity norm in place of the root of mean squares. ε, not in the paper, keeps u above zero.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first moment and of the norm, each in [0, 1).
        eps: added to |g|, ≥ 0.
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 2e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "betas", at_least=0, below=1)
        check_number(self, "eps", at_least=0)
        check_number(self, "weight_decay", at_least=0)

    def init(self, params: Params) -> State:
        return {
            "first": {name: torch.zeros_like(x) for name, x in params.items()},
            "norm": {name: torch.zeros_like(x) for name, x in params.items()},
            "power": 1.0,
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        gradients = penalised(gradients, params, self.weight_decay)
        power = state["power"] * beta1
        rate = ratio(self.lr, 1 - power)
        new, first, norm = {}, {}, {}
        for name, x in params.items():
            g = gradients[name]
            first[name] = moving_average(state["first"][name], g, beta1)
            norm[name] = torch.maximum(scaled(state["norm"][name], beta2), g.abs().add_(cast(self.eps, g)))
            new[name] = add_quotient(x, first[name], norm[name], -rate)
        return new, {"first": first, "norm": norm, "power": power}
