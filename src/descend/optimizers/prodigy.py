"""Prodigy: Adam that estimates its own learning rate."""

from dataclasses import dataclass

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_quotient, add_scaled, root_plus, scaled, state_number
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed
from descend.scalars import larger, ratio, real, root
from descend.types import Loss, Params, State
from descend.vectors import dot, quotient, total_size


@dataclass(frozen=True)
class Prodigy(MomentMethod):
    """Adam's step times d, an estimate from below of ‖x₀ − x*‖∞ that only grows, with β₃ = √β₂ and γ = lr · d:

    r ← β₃r + γ (d/d₀) ⟨g, x₀ − x⟩, s ← β₃s + γ (d/d₀) g, d ← max(d, c · r / ‖s‖₁), with m ← β₁m + (1−β₁) d g,
    v ← β₂v + (1−β₂) d²g², x ← (1 − γλ)x − γ · m / (√v + dε). d in m, v and γ is that of the step before.

    Mishchenko & Defazio, "Prodigy: An Expeditiously Adaptive Parameter-Free Learner" (ICML 2024), Algorithm 4. The
    defaults are those of the authors' code, konstmish/prodigy.

    Args:
        lr: a factor of the estimated learning rate, > 0; a schedule multiplies it.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
        d0: d₀ > 0, the first estimate; far below the distance.
        d_coef: c > 0; the authors tune this one rather than `lr`.
    """

    lr: float = 1.0
    d0: float = 1e-6
    d_coef: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "d0", above=0)
        check_number(self, "d_coef", above=0)

    def init(self, params: Params) -> State:
        zeros = {name: torch.zeros_like(x) for name, x in params.items()}
        return {
            "start": {name: x.clone() for name, x in params.items()},
            **{part: {name: x.clone() for name, x in zeros.items()} for part in ("first", "second", "sum")},
            "d": state_number(1.0, params) * self.d0,
            "numerator": state_number(0.0, params),
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        beta3, d = root(self.betas[1]), state["d"]
        rate = d * self.lr
        weight = ratio(d, self.d0) * rate
        first, second, total = {}, {}, {}
        for name, g in gradients.items():
            first[name] = add_scaled(scaled(state["first"][name], beta1), g, d * (1 - beta1))
            second[name] = add_scaled(scaled(state["second"][name], beta2), g * g, d * d * (1 - beta2))
            total[name] = add_scaled(scaled(state["sum"][name], beta3), g, weight)
        way = {name: x0 - params[name] for name, x0 in state["start"].items()}
        numerator = beta3 * state["numerator"] + weight * real(dot(gradients, way))
        found = quotient(self.d_coef * numerator, real(total_size(total)))
        after = larger(d, found)
        new = {
            name: add_quotient(x, first[name], root_plus(second[name], after * self.eps), -rate)
            for name, x in decayed(params, self.weight_decay, rate).items()
        }
        sums = {"first": first, "second": second, "sum": total}
        return new, {"start": state["start"], **sums, "d": after, "numerator": numerator}
