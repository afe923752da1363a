"""LAMB: Adam with a learning rate for each layer."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.optimizers.arithmetic import add_scaled, root_plus, scaled
from descend.optimizers.moments import MomentMethod
from descend.scalars import ratio, real, root
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class LAMB(MomentMethod):
    """u = m̂ / (√v̂ + ε) + λx, x ← x − lr · (‖x‖ / ‖u‖) · u for each parameter; the ratio is 1 where a norm is 0.

    m̂ and v̂ are Adam's. You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes" (ICLR
    2020), Algorithm 2 with φ(z) = z; defaults from pytorch_optimizer.

    Args:
        lr: learning rate, > 0.
        betas: decay of the first and second moment, each in [0, 1).
        eps: added to the denominator, ≥ 0.
        weight_decay: λ ≥ 0.
    """

    eps: float = 1e-6

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        powers = self.powers(state)
        correction = root(1 - powers["power2"])
        scale, eps = ratio(correction, 1 - powers["power1"]), self.eps * correction
        new, first, second = {}, {}, {}
        for name, x in params.items():
            first[name], second[name] = self.averages(name, gradients[name], state)
            update = scaled(first[name], scale) / root_plus(second[name], eps)
            update = add_scaled(update, x, self.weight_decay)
            new[name] = add_scaled(x, update, -self.lr * real(trust(x, update)))
        return new, state | powers | {"first": first, "second": second}


def trust(x: Tensor, update: Tensor) -> Tensor:
    """Return ‖x‖ / ‖update‖, [], or 1 where one of them is 0."""
    own, other = torch.linalg.vector_norm(x), torch.linalg.vector_norm(update)
    return torch.where(own > 0, torch.where(other > 0, own / other, 1), 1)
