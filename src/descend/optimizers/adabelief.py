"""AdaBelief: Adam that divides by how far the gradient is from what was expected of it."""

from dataclasses import dataclass
from typing import ClassVar

from descend.optimizers.arithmetic import add_quotient, moving_average, moving_square, root_plus
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed
from descend.scalars import cast, ratio, root
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class AdaBelief(MomentMethod):
    """m ← β₁m + (1−β₁)g, s ← β₂s + (1−β₂)(g − m)² + ε, x ← (1 − lr · λ)x − lr · m̂ / (√ŝ + ε), corrected as in Adam.

    Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients" (NeurIPS 2020),
    Algorithm 2; ε and the other defaults are those of the authors' code, juntang-zhuang/Adabelief-Optimizer, without
    its rectification.

    Args:
        lr: learning rate, > 0.
        betas: decay of the mean and of the squared deviation, each in [0, 1).
        eps: added to s at every step and to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
    """

    entrywise: ClassVar[bool] = True

    eps: float = 1e-16

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        powers = self.powers(state)
        correction = root(1 - powers["power2"])
        rate, eps = self.lr * ratio(correction, 1 - powers["power1"]), self.eps * correction
        new, first, second = {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            g = gradients[name]
            m = first[name] = moving_average(state["first"][name], g, beta1)
            second[name] = moving_square(state["second"][name], g - m, beta2) + cast(self.eps, g)
            new[name] = add_quotient(x, m, root_plus(second[name], eps), -rate)
        return new, state | powers | {"first": first, "second": second}
