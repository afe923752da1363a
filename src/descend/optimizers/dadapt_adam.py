"""D-Adaptation for Adam."""

from dataclasses import dataclass

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import moving_average, moving_square, root_plus, scaled, state_number
from descend.optimizers.moments import MomentMethod
from descend.optimizers.weight_decay import decayed
from descend.scalars import larger, real, root
from descend.types import Loss, Params, State
from descend.vectors import dot, quotient, total_size


@dataclass(frozen=True)
class DAdaptAdam(MomentMethod):
    """Adam with the learning rate γ = lr · d, where d estimates ‖x₀ − x*‖∞ from below and only grows, with β₃ = √β₂:

    r ← β₃r + (1−β₃) γ ⟨g, s / (√v + ε)⟩, m ← β₁m + (1−β₁) γ g, v ← β₂v + (1−β₂)g², s ← β₃s + (1−β₃) γ g,
    d ← max(d, r / ((1−β₃) ‖s‖₁)), x ← (1 − γλ)x − m / (√v + ε). There is no correction of the averages.

    Defazio & Mishchenko, "Learning-Rate-Free Learning by D-Adaptation" (ICML 2023), Algorithm 5. The defaults are those
    of the authors' code, facebookresearch/dadaptation.

    Args:
        lr: a factor of the estimated learning rate, > 0; a schedule multiplies it.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0, decoupled.
        d0: the first estimate, > 0; far below the distance.
    """

    lr: float = 1.0
    d0: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "d0", above=0)

    def init(self, params: Params) -> State:
        zeros = {name: torch.zeros_like(x) for name, x in params.items()}
        return {
            **{part: {name: x.clone() for name, x in zeros.items()} for part in ("first", "second", "sum")},
            "d": state_number(1.0, params) * self.d0,
            "numerator": state_number(0.0, params),
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        beta3, rate = root(beta2), state["d"] * self.lr
        ahead, first, second, total = {}, {}, {}, {}
        for name, g in gradients.items():
            ahead[name] = state["sum"][name] / root_plus(state["second"][name], self.eps)
            first[name] = moving_average(state["first"][name], scaled(g, rate), beta1)
            second[name] = moving_square(state["second"][name], g, beta2)
            total[name] = moving_average(state["sum"][name], scaled(g, rate), beta3)
        numerator = beta3 * state["numerator"] + (1 - beta3) * (rate * real(dot(gradients, ahead)))
        found = quotient(numerator, (1 - beta3) * real(total_size(total)))
        new = {
            name: x - first[name] / root_plus(second[name], self.eps)
            for name, x in decayed(params, self.weight_decay, rate).items()
        }
        sums = {"first": first, "second": second, "sum": total}
        return new, {**sums, "d": larger(state["d"], found), "numerator": numerator}
