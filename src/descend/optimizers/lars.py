"""LARS: SGD with a learning rate for each layer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, scaled
from descend.optimizers.optimizer import Optimizer
from descend.scalars import Scalar, cast
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class LARS(Optimizer):
    """b ← μb + η ‖x‖ / (‖g‖ + λ‖x‖) · (g + λx), x ← x − lr · b; the factor is 1 where its quotient is not above 0.

    Vectors and numbers (biases, norms) are updated as by SGD with momentum, without decay.

    You, Gitman & Ginsburg, "Large Batch Training of Convolutional Networks" (2017), Algorithm 1, with the learning rate
    outside of the momentum; vectors as is usual since, in pytorch_optimizer, from which η and μ are.

    Args:
        lr: learning rate, > 0.
        momentum: μ in [0, 1).
        weight_decay: λ ≥ 0.
        trust: η > 0, how far a layer moves, as a share of its norm.
    """

    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    trust: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum", at_least=0, below=1)
        check_number(self, "weight_decay", at_least=0)
        check_number(self, "trust", above=0)

    def init(self, params: Params) -> State:
        return {"buffer": {name: torch.zeros_like(x) for name, x in params.items()}}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        new, buffer = {}, {}
        for name, x in params.items():
            g = gradients[name]
            own = scaled_by_norms(g, x, self.trust, self.weight_decay) if x.dim() > 1 else g
            buffer[name] = add_scaled(own, state["buffer"][name], self.momentum)
            new[name] = add_scaled(x, buffer[name], -self.lr)
        return new, {"buffer": buffer}


def scaled_by_norms(gradient: Tensor, x: Tensor, trust: Scalar, weight_decay: Scalar) -> Tensor:
    """Return η ‖x‖ / (‖g‖ + λ‖x‖) · (g + λx)."""
    own, other = torch.linalg.vector_norm(x), torch.linalg.vector_norm(gradient)
    below = add_scaled(other, own, weight_decay)
    factor = torch.where(own > 0, torch.where(below > 0, cast(trust, own) * own / below, 1), 1)
    return scaled(add_scaled(gradient, x, weight_decay), factor)
