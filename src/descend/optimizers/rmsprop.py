"""RMSprop."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import (
    add_quotient,
    add_scaled,
    moving_average,
    moving_square,
    root_plus,
    scaled,
)
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import penalised
from descend.scalars import is_zero
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v ← αv + (1−α)g², x ← x − lr · g / (√v + ε).

    Centred, √(v − ḡ²) takes the place of √v, with ḡ ← αḡ + (1−α)g; with momentum, b ← μb + g/(√v + ε), x ← x − lr · b.

    Tieleman & Hinton, "Neural Networks for Machine Learning" (Coursera 2012), lecture 6.5; the centred form is that of
    Graves, "Generating Sequences With Recurrent Neural Networks" (2013), equations 38 to 41.

    Args:
        lr: learning rate, > 0.
        alpha: decay of the averages, in [0, 1].
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0 of an L2 penalty λ/2 ‖x‖² added to the gradient.
        momentum: μ ≥ 0; 0 keeps no buffer.
        centered: divide by an estimate of the standard deviation instead of the root of the mean square.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1e-2
    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "alpha", at_least=0, at_most=1)
        check_number(self, "eps", at_least=0)
        check_number(self, "weight_decay", at_least=0)
        check_number(self, "momentum", at_least=0)

    def init(self, params: Params) -> State:
        def zeros() -> Params:
            return {name: torch.zeros_like(x) for name, x in params.items()}

        return {
            "square": zeros(),
            "mean": zeros() if self.centered else {},
            "buffer": {} if is_zero(self.momentum) else zeros(),
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        gradients = penalised(gradients, params, self.weight_decay)
        new, square, mean, buffer = {}, {}, {}, {}
        for name, x in params.items():
            g = gradients[name]
            variance = square[name] = moving_square(state["square"][name], g, self.alpha)
            if self.centered:
                mean[name] = moving_average(state["mean"][name], g, self.alpha)
                variance = variance.addcmul(mean[name], mean[name], value=-1)
            denominator = root_plus(variance, self.eps)
            if is_zero(self.momentum):
                new[name] = add_quotient(x, g, denominator, -self.lr)
            else:
                buffer[name] = scaled(state["buffer"][name], self.momentum).addcdiv_(g, denominator)
                new[name] = add_scaled(x, buffer[name], -self.lr)
        return new, {"square": square, "mean": mean, "buffer": buffer}
