"""What the schedule-free methods share: gradients are taken between a moving point and the average that is reported."""

from dataclasses import dataclass

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, state_number
from descend.optimizers.optimizer import Optimizer
from descend.scalars import Scalar, cast, larger
from descend.types import Params, State
from descend.vectors import quotient


@dataclass(frozen=True)
class ScheduleFree(Optimizer):
    """z ← z − γ d, x ← (1 − c) x + c z with c = γ̄² / Σ γ̄², y ← (1 − β) z + β x; γ̄ is the largest γ so far.

    d is a direction made of the gradient at y. The parameters are y; the run is judged by x, a weighted average of z.

    Args:
        lr: learning rate γ, > 0.
        weight_decay: λ ≥ 0 of λy added to the direction.
    """

    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "weight_decay", at_least=0)

    @property
    def has_other_points(self) -> bool:
        return True

    def init(self, params: Params) -> State:
        return {
            "base": {name: x.clone() for name, x in params.items()},
            "average": {name: x.clone() for name, x in params.items()},
            "largest": state_number(0.0, params),
            "total": state_number(0.0, params),
        }

    def reported(self, params: Params, state: State) -> Params:
        average: Params = state["average"]
        return average

    def moved(self, directions: Params, state: State, beta: Scalar) -> tuple[Params, State]:
        """Return y, and the state that has z and x, after a step along −d."""
        largest = larger(self.lr, state["largest"])
        square = largest * largest
        total = state["total"] + square
        weight = quotient(square, total)
        new, base, average = {}, {}, {}
        for name, d in directions.items():
            z = base[name] = add_scaled(state["base"][name], d, -self.lr)
            x = average[name] = torch.lerp(state["average"][name], z, cast(weight, z))
            new[name] = torch.lerp(z, x, cast(beta, z))
        return new, {"base": base, "average": average, "largest": largest, "total": total}
