"""The Polyak step."""

import math
from dataclasses import dataclass

from torch import Tensor

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.optimizer import Optimizer
from descend.scalars import real
from descend.types import Loss, Params, State
from descend.vectors import dot, quotient


@dataclass(frozen=True)
class Polyak(Optimizer):
    """x ← x − lr · (f(x) − f⋆) / ‖g‖² · g: for lr = 1 the step to where a line along −g would reach f⋆.

    Polyak, "Minimization of unsmooth functionals" (USSR Comput. Math. Math. Phys. 9, 1969). It needs the least value
    f⋆, and gradients that no clipping has shortened.

    Args:
        lr: a factor of the step, > 0; below 2 it converges on convex functions.
        optimum: f⋆; where f(x) is below it, the step is 0.
    """

    lr: float = 1.0
    optimum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "optimum", above=-math.inf, below=math.inf)

    def init(self, params: Params) -> State:
        return {}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        rate = self.rate(params, gradients, loss)
        return {name: add_scaled(x, gradients[name], -rate) for name, x in params.items()}, state

    def rate(self, params: Params, gradients: Params, loss: Loss) -> Tensor:
        """Return the length of the step in gradients, float64 []."""
        return self.lr * quotient(self.gap(params, loss), real(dot(gradients, gradients)))

    def gap(self, params: Params, loss: Loss) -> Tensor:
        """Return max(0, f(x) − f⋆), float64 []."""
        return (real(loss(params)) - self.optimum).clamp(min=0)
