"""Adam."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.optimizers.arithmetic import add_quotient, root_plus
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed, penalised
from descend.scalars import ratio, root
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Adam(MomentMethod):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², x ← x − lr · m̂ / (√v̂ + ε), with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Kingma & Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015), Algorithm 1; defaults from there.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient (not decoupled; see AdamW).
        amsgrad: put the largest v so far in place of v (Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond",
            ICLR 2018, Algorithm 2), so that the steps cannot grow.
    """

    entrywise: ClassVar[bool] = True
    decoupled: ClassVar[bool] = False

    amsgrad: bool = False

    def init(self, params: Params) -> State:
        largest = {name: torch.zeros_like(x) for name, x in params.items()} if self.amsgrad else {}
        return super().init(params) | {"largest": largest}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        if self.decoupled:
            params = decayed(params, self.weight_decay, self.lr)
        else:
            gradients = penalised(gradients, params, self.weight_decay)
        powers = self.powers(state)
        # √(1−β₂ᵗ) multiplies lr and ε instead of dividing √v: one pass over memory less (section 2 of the paper).
        correction = root(1 - powers["power2"])
        scale, eps = -self.lr * ratio(correction, 1 - powers["power1"]), self.eps * correction
        new, first, second, largest = {}, {}, {}, {}
        for name, x in params.items():
            first[name], second[name] = self.averages(name, gradients[name], state)
            square = second[name]
            if self.amsgrad:
                square = largest[name] = torch.maximum(state["largest"][name], square)
            new[name] = add_quotient(x, first[name], root_plus(square, eps), scale)
        return new, state | powers | {"first": first, "second": second, "largest": largest}
