"""NAdam: Adam with Nesterov momentum."""

from dataclasses import dataclass

from descend.checks import check_number
from descend.optimizers.arithmetic import add_quotient, root_plus
from descend.optimizers.moments import Moments
from descend.optimizers.weight_decay import decayed, penalised
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class NAdam(Moments):
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

    lr: float = 2e-3
    momentum_decay: float = 4e-3
    decoupled_weight_decay: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum_decay", at_least=0)

    def init(self, params: Params) -> State:
        return super().init(params) | {"product": 1.0, "warmup": 1.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        if self.decoupled_weight_decay:
            params = decayed(params, self.lr * self.weight_decay)
        else:
            gradients = penalised(gradients, params, self.weight_decay)
        state = self.averaged(gradients, state)
        beta1, _ = self.betas
        factor = 0.96**self.momentum_decay
        warmup = state["warmup"] * factor
        momentum, momentum_next = beta1 * (1 - 0.5 * warmup), beta1 * (1 - 0.5 * warmup * factor)
        product = state["product"] * momentum
        correction = (1 - state["power2"]) ** 0.5
        rate = self.lr * correction
        gradient_rate = rate * (1 - momentum) / (1 - product)
        momentum_rate = rate * momentum_next / (1 - product * momentum_next)
        new = {}
        for name, x in params.items():
            denominator = root_plus(state["second"][name], self.eps * correction)
            ahead = add_quotient(x, gradients[name], denominator, -gradient_rate)
            new[name] = add_quotient(ahead, state["first"][name], denominator, -momentum_rate)
        return new, state | {"product": product, "warmup": warmup}
