"""ADOPT: Adam whose second moment leaves the current gradient out."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.optimizers.arithmetic import add_scaled, moving_average, moving_square
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed
from descend.scalars import cast, power, real
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class ADOPT(MomentMethod):
    """n = g / max(√v, ε) cut to [−t^¼, t^¼], m ← β₁m + (1−β₁)n, x ← x − lr · m, then v ← β₂v + (1−β₂)g².

    The first step only sets v = g²; t counts those after it. Before each, x ← (1 − lr · λ)x.

    Taniguchi et al., "ADOPT: Modified Adam Can Converge with Any β₂ with the Optimal Rate" (NeurIPS 2024), with the
    clipping of its later version; defaults from there.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: least denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
    """

    entrywise: ClassVar[bool] = True

    betas: tuple[float, float] = (0.9, 0.9999)
    eps: float = 1e-6

    def init(self, params: Params) -> State:
        zeros = {name: torch.zeros_like(x) for name, x in params.items()}
        return {"first": zeros, "second": {name: x.clone() for name, x in zeros.items()}, "step": 0.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        step = real(state["step"])
        begins, bound = step == 0, power(step.clamp(min=1), 0.25)
        new, first, second = {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            g, m, v = gradients[name], state["first"][name], state["second"][name]
            limit = cast(bound, g)
            n = (g / torch.maximum(v.sqrt(), cast(self.eps, v))).clamp(min=-limit).clamp(max=limit)
            first[name] = torch.where(begins, m, moving_average(m, n, beta1))
            second[name] = torch.where(begins, g * g, moving_square(v, g, beta2))
            new[name] = add_scaled(x, first[name], -self.lr)
        return new, {"first": first, "second": second, "step": state["step"] + 1}
