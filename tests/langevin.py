"""An optimizer such as a user may have, which draws."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.optimizers.sgd import SGD
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Langevin(SGD):
    """Gradient descent with noise, and with a drift that is drawn before the first step."""

    def init(self, params: Params) -> State:
        return super().init(params) | {"drift": {name: torch.randn_like(x) for name, x in params.items()}}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        new, after = super().step(params, gradients, state, loss)
        noise = {name: torch.randn_like(x) + state["drift"][name] for name, x in new.items()}
        return {name: x + 0.01 * noise[name] for name, x in new.items()}, after | {"drift": state["drift"]}


class Called(Langevin):
    """The same, of which the engine does not know that it can be recorded."""

    batchable: ClassVar[bool] = False
