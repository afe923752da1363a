"""NAdam: Adam with Nesterov momentum."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, root_plus, scaled
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed, penalised
from descend.scalars import power, ratio, root
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class NAdam(MomentMethod):
    """x ← x − lr · ((1−μₜ)/(1−∏ᵢ₌₁ᵗ μᵢ) · g + μₜ₊₁/(1−∏ᵢ₌₁ᵗ⁺¹ μᵢ) · m) / (√v̂ + ε), μₜ = β₁ (1 − ½ · 0.96^(tψ)).

    m, v and v̂ are Adam's. Dozat, "Incorporating Nesterov Momentum into Adam" (ICLR 2016 workshop), Algorithm 2.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0.
        momentum_decay: ψ ≥ 0, how fast μ rises from β₁/2 to β₁.
        decoupled_weight_decay: shrink x by 1 − lr · λ (as AdamW) instead of adding λx to the gradient.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 2e-3
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum_decay", at_least=0)

    def init(self, params: Params) -> State:
        # Tensors from the start: μ is made of an exponential, which is torch's for every kind of number.
        one = torch.ones((), dtype=torch.float64, device=next(iter(params.values())).device)
        return super().init(params) | {"product": one, "warmup": one.clone()}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        if self.decoupled_weight_decay:
            params = decayed(params, self.weight_decay, self.lr)
        else:
            gradients = penalised(gradients, params, self.weight_decay)
        powers = self.powers(state)
        factor = power(0.96, self.momentum_decay)
        warmup = state["warmup"] * factor
        momentum, following = (self.betas[0] * (1 - 0.5 * x) for x in (warmup, warmup * factor))
        product = state["product"] * momentum
        correction = root(1 - powers["power2"])
        rate, eps = self.lr * correction, self.eps * correction
        gradient_rate = rate * ratio(1 - momentum, 1 - product)
        momentum_rate = rate * ratio(following, 1 - product * following)
        new, first, second = {}, {}, {}
        for name, x in params.items():
            first[name], second[name] = self.averages(name, gradients[name], state)
            ahead = add_scaled(scaled(gradients[name], -gradient_rate), first[name], -momentum_rate)
            new[name] = torch.addcdiv(x, ahead, root_plus(second[name], eps))
        return new, state | powers | {"first": first, "second": second, "product": product, "warmup": warmup}
