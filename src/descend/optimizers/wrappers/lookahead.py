"""Lookahead: slow weights that follow fast ones."""

from dataclasses import dataclass
from typing import Any

import torch

from descend.checks import check_number
from descend.optimizers.wrappers.wrapper import Wrapper
from descend.scalars import cast, real
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Lookahead(Wrapper):
    """After every k steps of the optimizer inside, φ ← φ + α (x − φ) and x ← φ.

    Zhang, Lucas, Hinton & Ba, "Lookahead Optimizer: k steps forward, 1 step back" (NeurIPS 2019), algorithm 1; the
    state of the optimizer inside is kept.

    Args:
        steps: k ≥ 1.
        alpha: α in (0, 1], the slow weights' step.
    """

    steps: int = 5
    alpha: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "steps", at_least=1)
        check_number(self, "alpha", above=0, at_most=1)

    def own(self, params: Params) -> dict[str, Any]:
        return {"slow": {name: x.clone() for name, x in params.items()}, "step": 0.0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        fast, inner = self.inner.step(params, gradients, state["inner"], loss)
        due = real(state["step"] + 1) % self.steps == 0
        slow = {
            name: torch.where(due, torch.lerp(x, fast[name], cast(self.alpha, x)), x)
            for name, x in state["slow"].items()
        }
        new = {name: torch.where(due, slow[name], x) for name, x in fast.items()}
        return new, {"inner": inner, "slow": slow, "step": state["step"] + 1}
