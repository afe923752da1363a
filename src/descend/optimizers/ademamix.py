"""AdEMAMix: Adam with a second, slow average of the gradients."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.optimizers.arithmetic import add_quotient, add_scaled, moving_average, root_plus, scaled
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed
from descend.scalars import Scalar, ratio, real, root, smaller
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class AdEMAMix(MomentMethod):
    """s ← β₃s + (1−β₃)g, x ← (1 − lr · λ)x − lr · (m̂ + αs) / (√v̂ + ε); m̂ and v̂ are Adam's.

    Over the first T steps α rises as αt/T, and β₃ from β₁ so that the logarithm of its half-life rises:
    β₃(t) = exp(ln β₁ ln β₃ / ((1−t/T) ln β₃ + (t/T) ln β₁)).

    Pagliardini, Ablin & Grangier, "The AdEMAMix Optimizer: Better, Faster, Older" (ICLR 2025), Algorithm 1 and
    its schedulers. The defaults are those of the authors' code, apple/ml-ademamix, which has no warm-up by default.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
        beta3: β₃ in (0, 1), decay of the slow average.
        alpha: α ≥ 0, its weight.
        warmup: T ≥ 0 steps; 0 for none. The authors take all steps of the run.
    """

    entrywise: ClassVar[bool] = True

    beta3: float = 0.9999
    alpha: float = 2.0
    warmup: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "beta3", above=0, below=1)
        check_number(self, "alpha", at_least=0)
        check_number(self, "warmup", at_least=0)
        if self.warmup and self.betas[0] == 0:
            raise ConfigurationError(
                f"AdEMAMix.warmup is {self.warmup} with betas[0] 0, but the slow average's decay rises from betas[0], "
                "which must be above 0 then; set it so, or warmup=0."
            )

    def init(self, params: Params) -> State:
        return super().init(params) | {"slow": {name: torch.zeros_like(x) for name, x in params.items()}, "step": 0.0}

    def slow_average(self, step: Scalar) -> tuple[Scalar, Scalar]:
        """Return α and β₃ at a step, numbered from 1."""
        if not self.warmup:
            return self.alpha, self.beta3
        share = ratio(step, self.warmup)
        start, end = real(self.betas[0]).log(), real(self.beta3).log()
        rising: Tensor = (start * end / ((1 - share) * end + share * start)).exp()
        return smaller(share * self.alpha, self.alpha), smaller(rising, self.beta3)

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        powers, step = self.powers(state), state["step"] + 1
        alpha, beta3 = self.slow_average(step)
        # As in Adam, √(1−β₂ᵗ) multiplies what is divided, and ε, instead of dividing √v.
        correction = root(1 - powers["power2"])
        fast = ratio(1, 1 - powers["power1"])
        new, first, second, slow = {}, {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            first[name], second[name] = self.averages(name, gradients[name], state)
            slow[name] = moving_average(state["slow"][name], gradients[name], beta3)
            mixed = add_scaled(scaled(first[name], fast), slow[name], alpha)
            new[name] = add_quotient(x, mixed, root_plus(second[name], self.eps * correction), -self.lr * correction)
        return new, state | powers | {"first": first, "second": second, "slow": slow, "step": step}
