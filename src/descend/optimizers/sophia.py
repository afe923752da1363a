"""Sophia: momentum divided by a clipped estimate of the curvature's diagonal."""

from abc import abstractmethod
from dataclasses import dataclass

import torch

from descend.checks import check_number, check_pair
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.hutchinson import diagonal_estimate, random_normals
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.weight_decay import decayed
from descend.scalars import cast, real
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Sophia(Optimizer):
    """Sophia with any estimate of the curvature's diagonal; `SophiaH` and `SophiaG` document the fields."""

    lr: float = 6e-4
    betas: tuple[float, float] = (0.96, 0.99)
    gamma: float = 0.01
    eps: float = 1e-12
    weight_decay: float = 0.2
    every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "betas", at_least=0, below=1)
        check_number(self, "gamma", above=0)
        check_number(self, "eps", above=0)
        check_number(self, "weight_decay", at_least=0)
        check_number(self, "every", at_least=1)

    @abstractmethod
    def estimate(self, loss: Loss, params: Params) -> Params:
        """Draw an estimate ĥ of the curvature's diagonal, by name, in the shapes of the parameters."""

    def init(self, params: Params) -> State:
        zeros = {part: {name: torch.zeros_like(x) for name, x in params.items()} for part in ("first", "curvature")}
        return {**zeros, "step": 0.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        beta1, beta2 = self.betas
        due = real(state["step"] % self.every) == 0
        found = self.estimate(loss, params)
        new, first, curvature = {}, {}, {}
        for name, x in decayed(params, self.weight_decay, self.lr).items():
            first[name] = moving_average(state["first"][name], gradients[name], beta1)
            before = state["curvature"][name]
            curvature[name] = torch.where(due, moving_average(before, found[name], beta2), before)
            scale = torch.maximum(cast(self.gamma, x) * curvature[name], cast(self.eps, x) * torch.ones_like(x))
            new[name] = add_scaled(x, (first[name] / scale).clamp(-1, 1), -self.lr)
        return new, {"first": first, "curvature": curvature, "step": state["step"] + 1}


@dataclass(frozen=True)
class SophiaH(Sophia):
    """m ← β₁m + (1−β₁)g, x ← (1 − lr · λ)x − lr · clip(m / max(γh, ε)), each entry clipped to [−1, 1], where

    h ← β₂h + (1−β₂) z ⊙ ∇²f(x) z, with z normal, at the first step and every so many after it.

    Liu et al., "Sophia: A Scalable Stochastic Second-order Optimizer for Language Model Pre-training" (ICLR 2024),
    Algorithms 3 and 1. Where the curvature is small or negative it is the sign of m that moves the parameters. An
    estimate costs a second gradient and a Hessian-vector product; the steps between leave it out.

    Args:
        lr: learning rate, > 0: the longest way of an entry in a step.
        betas: decay of m and h, each in [0, 1).
        gamma: γ > 0; the larger, the more entries are clipped less.
        eps: ε > 0.
        weight_decay: λ ≥ 0, decoupled.
        every: steps from one estimate of the curvature to the next, ≥ 1.
    """

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return dict.fromkeys(("function", "gradient", "hvp"), -(-steps // self.every))

    def estimate(self, loss: Loss, params: Params) -> Params:
        return diagonal_estimate(loss, params, random_normals(params))
