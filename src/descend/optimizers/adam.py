"""Adam."""

from dataclasses import dataclass

import torch

from descend.checks import check_number, check_value
from descend.optimizers.arithmetic import (
    add_quotient,
    add_scaled,
    is_zero,
    moving_average,
    moving_square,
    root_denominator,
)
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Adam(Optimizer):
    """m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g², x ← x − lr · m̂ / (√v̂ + ε), with m̂ = m/(1−β₁ᵗ), v̂ = v/(1−β₂ᵗ).

    Kingma & Ba, "Adam: A Method for Stochastic Optimization" (ICLR 2015), Algorithm 1; defaults from there.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient (not decoupled; see AdamW).
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for i, beta in enumerate(self.betas):
            check_value(f"{type(self).__name__}.betas[{i}]", beta, at_least=0, below=1)
        check_number(self, "eps", at_least=0)
        check_number(self, "weight_decay", at_least=0)

    def init(self, params: Params) -> State:
        return {
            "first": {name: torch.zeros_like(x) for name, x in params.items()},
            "second": {name: torch.zeros_like(x) for name, x in params.items()},
            "powers": (1.0, 1.0),
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        # β₁ᵗ and β₂ᵗ are carried as running products: a power for each run of a sweep would cost more than the step.
        power1, power2 = state["powers"][0] * beta1, state["powers"][1] * beta2
        step_size, correction = self.lr / (1 - power1), (1 - power2) ** 0.5
        new, first, second = {}, {}, {}
        for name, x in params.items():
            g = gradients[name]
            if not is_zero(self.weight_decay):
                g = add_scaled(g, x, self.weight_decay)
            first[name] = moving_average(state["first"][name], g, beta1)
            second[name] = moving_square(state["second"][name], g, beta2)
            denominator = root_denominator(second[name], correction, self.eps)
            new[name] = add_quotient(x, first[name], denominator, -step_size)
        return new, {"first": first, "second": second, "powers": (power1, power2)}
