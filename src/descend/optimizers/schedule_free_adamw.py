"""Schedule-free AdamW."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number, check_pair
from descend.optimizers.arithmetic import moving_square, root_plus, scaled
from descend.optimizers.schedule_free import ScheduleFree
from descend.optimizers.weight_decay import penalised
from descend.scalars import root
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class ScheduleFreeAdamW(ScheduleFree):
    """v ← β₂v + (1−β₂)g², d = g / (√v̂ + ε) + λy, then z ← z − γd, x ← (1 − c) x + c z, y ← (1 − β₁) z + β₁ x.

    g is the gradient at y, v̂ = v/(1−β₂ᵗ), and c as in `ScheduleFree`. Defazio et al., "The Road Less Scheduled"
    (NeurIPS 2024), Algorithm 1. The defaults are those of the authors' code, facebookresearch/schedule_free, at r = 0.

    Args:
        lr: learning rate γ, > 0; its decay is not needed, a warm-up may be.
        betas: β₁, the weight of the average in y, and the decay β₂ of the second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 2.5e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "betas", at_least=0, below=1)
        check_number(self, "eps", at_least=0)

    def init(self, params: Params) -> State:
        return super().init(params) | {
            "second": {name: torch.zeros_like(x) for name, x in params.items()},
            "power2": 1.0,
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        power2 = state["power2"] * beta2
        correction = root(1 - power2)
        second = {name: moving_square(state["second"][name], g, beta2) for name, g in gradients.items()}
        # √v̂ + ε is (√v + ε√(1−β₂ᵗ)) / √(1−β₂ᵗ): one pass over memory less.
        directions = {
            name: scaled(g, correction) / root_plus(second[name], self.eps * correction)
            for name, g in gradients.items()
        }
        new, after = self.moved(penalised(directions, params, self.weight_decay), state, beta1)
        return new, after | {"second": second, "power2": power2}
