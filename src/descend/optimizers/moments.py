"""What the methods of Adam's family share: moving averages of the gradient and of its square."""

from dataclasses import dataclass

import torch

from descend.checks import check_number, check_pair
from descend.optimizers.arithmetic import moving_average, moving_square
from descend.optimizers.optimizer import Optimizer
from descend.types import Params, State


@dataclass(frozen=True)
class Moments(Optimizer):
    """m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g², both from zero.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0.
    """

    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "betas", at_least=0, below=1)
        check_number(self, "eps", at_least=0)
        check_number(self, "weight_decay", at_least=0)

    def init(self, params: Params) -> State:
        return {
            "first": {name: torch.zeros_like(x) for name, x in params.items()},
            "second": {name: torch.zeros_like(x) for name, x in params.items()},
            "power1": 1.0,
            "power2": 1.0,
        }

    def averaged(self, gradients: Params, state: State) -> State:
        """Return the state with m, v, β₁ᵗ and β₂ᵗ brought to this step."""
        beta1, beta2 = self.betas
        first, second = state["first"], state["second"]
        # β₁ᵗ and β₂ᵗ are carried as running products: a power for each run of a sweep would cost more than the step.
        return state | {
            "first": {name: moving_average(first[name], g, beta1) for name, g in gradients.items()},
            "second": {name: moving_square(second[name], g, beta2) for name, g in gradients.items()},
            "power1": state["power1"] * beta1,
            "power2": state["power2"] * beta2,
        }
