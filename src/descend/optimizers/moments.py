"""What the methods of Adam's family share: moving averages of the gradient and of its square."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number, check_pair
from descend.optimizers.arithmetic import moving_average, moving_square
from descend.optimizers.optimizer import Optimizer
from descend.scalars import Scalar
from descend.types import Params, State


@dataclass(frozen=True)
class MomentMethod(Optimizer):
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

    def powers(self, state: State) -> dict[str, Scalar]:
        """Return β₁ᵗ and β₂ᵗ, as running products: a power for each run of a sweep would cost more than the step."""
        beta1, beta2 = self.betas
        return {"power1": state["power1"] * beta1, "power2": state["power2"] * beta2}

    def averages(self, name: str, gradient: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Return m and v of one parameter."""
        beta1, beta2 = self.betas
        first = moving_average(state["first"][name], gradient, beta1)
        return first, moving_square(state["second"][name], gradient, beta2)
