"""CAME: Adafactor guided by how sure its momentum is."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number, check_pair
from descend.optimizers.adafactor import rms
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed
from descend.scalars import Scalar, cast
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class CAME(Optimizer):
    """u = g / √V̂, cut to RMS(u) ≤ d, m ← β₁m + (1−β₁)u, x ← (1 − lr · λ)x − lr · m / √Û.

    V̂ is Adafactor's estimate of the average of g² + ε₁ with decay β₂ by rows and columns, and Û the same estimate of
    that of (u − m)² + ε₂ with decay β₃: where u strays from m, steps are short. Of a vector or number x moves by
    lr · m, and V̂ is the average itself.

    Luo et al., "CAME: Confidence-guided Adaptive Memory Efficient Optimization" (ACL 2023), Algorithm 2; defaults from
    its authors' code, yangluo7/CAME.

    Args:
        lr: learning rate, > 0.
        betas: β₁ and β₂, each in [0, 1).
        beta3: β₃ in [0, 1).
        eps: ε₁ and ε₂, each ≥ 0.
        clip: d > 0.
        weight_decay: λ ≥ 0, decoupled.
    """

    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    beta3: float = 0.9999
    eps: tuple[float, float] = (1e-30, 1e-16)
    clip: float = 1.0
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "betas", at_least=0, below=1)
        check_number(self, "beta3", at_least=0, below=1)
        check_pair(self, "eps", at_least=0)
        check_number(self, "clip", above=0)
        check_number(self, "weight_decay", at_least=0)

    def init(self, params: Params) -> State:
        return {
            "momentum": {name: torch.zeros_like(x) for name, x in params.items()},
            "square": {name: factored_zeros(x) for name, x in params.items()},
            "deviation": {name: factored_zeros(x) for name, x in params.items() if x.dim() > 1},
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        new, momentum, square, deviation = {}, {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            g = gradients[name]
            square[name] = averaged(state["square"][name], g * g + cast(self.eps[0], g), beta2)
            update = g * inverse_root(square[name])
            update = update / (rms(update) / cast(self.clip, x)).clamp(min=1)
            m = momentum[name] = moving_average(state["momentum"][name], update, beta1)
            if x.dim() > 1:
                apart = update - m
                deviation[name] = averaged(state["deviation"][name], apart * apart + cast(self.eps[1], g), self.beta3)
                m = m * inverse_root(deviation[name])
            new[name] = add_scaled(x, m, -self.lr)
        return new, {"momentum": momentum, "square": square, "deviation": deviation}


def factored_zeros(x: Tensor) -> tuple[Tensor, ...]:
    """Return zeros for the averages by rows and by columns; of a vector or number, for the average itself."""
    return (
        (x.new_zeros(x.shape[:-1]), x.new_zeros(x.shape[:-2] + x.shape[-1:]))
        if x.dim() > 1
        else (x.new_zeros(x.shape),)
    )


def averaged(averages: tuple[Tensor, ...], new: Tensor, decay: Scalar) -> tuple[Tensor, ...]:
    """Return the averages after new entries; by rows and by columns, where there are two."""
    seen = (new.mean(-1), new.mean(-2)) if len(averages) == 2 else (new,)
    return tuple(moving_average(old, x, decay) for old, x in zip(averages, seen, strict=True))


def inverse_root(averages: tuple[Tensor, ...]) -> Tensor:
    """Return 1/√ of what the averages estimate."""
    if len(averages) == 1:
        return averages[0].rsqrt()
    rows, columns = averages
    return (rows / rows.mean(-1, keepdim=True)).rsqrt().unsqueeze(-1) * columns.rsqrt().unsqueeze(-2)
