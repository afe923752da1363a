"""RAdam: Adam with a rectified variance."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.optimizers.arithmetic import add_quotient, root_plus
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed, penalised
from descend.scalars import ratio, root
from descend.types import Loss, Params, State

# Above this length of the approximated moving average its variance is tractable; the paper says 4, its authors' code 5.
TRACTABLE = 5.0


@dataclass(frozen=True)
class RAdam(MomentMethod):
    """x ← x − lr · rₜ · m̂ / ((√v + ε)/√(1−β₂ᵗ)) while ρₜ > 5, else x ← x − lr · m̂, where

    ρ∞ = 2/(1−β₂) − 1, ρₜ = ρ∞ − 2t β₂ᵗ/(1−β₂ᵗ), rₜ² = (ρₜ−4)(ρₜ−2)ρ∞ / ((ρ∞−4)(ρ∞−2)ρₜ); m, v and m̂ are Adam's.

    Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond" (ICLR 2020), Algorithm 2.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to √v, ≥ 0.
        weight_decay: λ ≥ 0.
        decoupled_weight_decay: shrink x by 1 − lr · λ (as AdamW) instead of adding λx to the gradient.
    """

    entrywise: ClassVar[bool] = True

    decoupled_weight_decay: bool = False

    def init(self, params: Params) -> State:
        return super().init(params) | {"step": 0.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        if self.decoupled_weight_decay:
            params = decayed(params, self.weight_decay, self.lr)
        else:
            gradients = penalised(gradients, params, self.weight_decay)
        powers, step = self.powers(state), state["step"] + 1
        bias = 1 - powers["power2"]
        limit = ratio(2, 1 - self.betas[1]) - 1
        length = limit - ratio(2 * step * powers["power2"], bias)
        tractable = length > TRACTABLE
        factor = torch.where(tractable, rectification(length, limit) * root(bias), 1.0)
        rate = ratio(self.lr * factor, 1 - powers["power1"])
        new, first, second = {}, {}, {}
        for name, x in params.items():
            m, v = first[name], second[name] = self.averages(name, gradients[name], state)
            new[name] = add_quotient(x, m, torch.where(tractable, root_plus(v, self.eps), 1), -rate)
        return new, state | powers | {"first": first, "second": second, "step": step}


def rectification(length: Tensor, limit: Tensor) -> Tensor:
    """rₜ from ρₜ and ρ∞; not a number, or infinite, where ρₜ is not above 4."""
    return root((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
