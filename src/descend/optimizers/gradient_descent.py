"""Plain gradient descent."""

from dataclasses import dataclass
from typing import ClassVar

from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """x ← x − lr · ∇f(x) (Cauchy, 1847)."""

    entrywise: ClassVar[bool] = True

    lr: float = 1e-2

    def init(self, params: Params) -> State:
        return {}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        return {name: add_scaled(x, gradients[name], -self.lr) for name, x in params.items()}, state
