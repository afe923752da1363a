"""Stochastic gradient descent with momentum."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.optimizers.arithmetic import add_scaled, scaled
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import penalised
from descend.scalars import is_zero
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class SGD(Optimizer):
    """b ← μb + (1−τ)g (at the first step b = g), x ← x − lr · b; with Nesterov's form x ← x − lr · (g + μb).

    Polyak, "Some methods of speeding up the convergence of iteration methods" (1964); Nesterov's form as in Sutskever
    et al., "On the importance of initialization and momentum in deep learning" (ICML 2013), section 2, with the
    parameters read after the look-ahead.

    Args:
        lr: learning rate, > 0.
        momentum: μ ≥ 0; 0 keeps no buffer.
        dampening: τ in [0, 1].
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient.
        nesterov: look ahead along the buffer; needs momentum, and no dampening.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1e-3
    momentum: float = 0.0
    dampening: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum", at_least=0)
        check_number(self, "dampening", at_least=0, at_most=1)
        check_number(self, "weight_decay", at_least=0)
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            raise ConfigurationError(
                f"SGD.nesterov is on with momentum={self.momentum} and dampening={self.dampening}, but it needs "
                "momentum above 0 and dampening 0; set momentum=0.9 dampening=0, or nesterov=false."
            )
        if self.momentum == 0 and self.dampening != 0:
            raise ConfigurationError(
                f"SGD.dampening is {self.dampening}, but without momentum there is nothing to dampen; "
                "set momentum above 0, or dampening=0."
            )

    def init(self, params: Params) -> State:
        if is_zero(self.momentum):
            return {}
        return {"buffer": {name: torch.zeros_like(x) for name, x in params.items()}, "fresh": 1.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        gradients = penalised(gradients, params, self.weight_decay)
        if is_zero(self.momentum):
            return {name: add_scaled(x, gradients[name], -self.lr) for name, x in params.items()}, state
        new, buffer = {}, {}
        for name, x in params.items():
            g = gradients[name]
            # The first buffer is the gradient itself, undamped.
            damped = g if is_zero(self.dampening) else scaled(g, 1 - self.dampening * (1 - state["fresh"]))
            buffer[name] = add_scaled(damped, state["buffer"][name], self.momentum)
            direction = add_scaled(g, buffer[name], self.momentum) if self.nesterov else buffer[name]
            new[name] = add_scaled(x, direction, -self.lr)
        return new, {"buffer": buffer, "fresh": 0.0 * state["fresh"]}
