"""Methods made of a model of the function and a region in which it is trusted."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.optimizers.parts.trying import Attempt, Trying
from descend.scalars import cast
from descend.types import Loss, Params, State

ACCEPTED = 1e-4
"""The least share of the promised fall at which a trial is taken (Conn, Gould & Toint, section 17.1)."""

POOR, GOOD = 0.25, 0.75
"""Shares of the promised fall: below the one the radius shrinks, above the other it grows."""

SHRUNK, GROWN = 0.25, 2.0
"""The next radius, in lengths of the step (Nocedal & Wright, algorithm 4.1)."""

ROUNDING = 100
"""Rounding errors of the value that both falls are lengthened by (Conn, Gould & Toint, section 17.4.2)."""


@dataclass(frozen=True)
class Regional(Trying):
    """x ← x + p where f falls by enough of what the model promised; p minimises the model over ‖p‖ ≤ Δ.

    Nocedal & Wright, "Numerical Optimization" (2006), algorithm 4.1: with ρ the fall over the promised fall, Δ becomes
    ‖p‖ / 4 where ρ < 1/4, and is doubled where ρ > 3/4 and p reached it.

    Args:
        lr: the first radius Δ, > 0.
    """

    lr: float = 1.0

    @abstractmethod
    def learned(self, params: Params) -> State:
        """Return a model before the first step, in the shapes of those that follow."""

    @abstractmethod
    def model(self, params: Params, loss: Loss, gradient: Tensor, before: State) -> State:
        """Return the model of `loss` at `params`, where its gradient is `gradient` [n]: a dict of tensors.

        `before` is the model of the point that the run stands at.
        """

    @abstractmethod
    def solve(self, model: State, gradient: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the step p [n], the fall that the model promises, and ‖p‖ in the region's norm, [] each."""

    def first_radius(self, point: Tensor, model: State) -> Tensor:
        """Return the radius around the first point [n], []."""
        return cast(self.lr, point)

    def init(self, params: Params) -> State:
        own = self.before_first_point(params)
        zero = torch.zeros_like(own["level"])
        return {
            **own,
            "gradient": torch.zeros_like(own["standing"]),
            "radius": own["level"].clone(),
            "promised": zero,
            "length": zero.clone(),
            "model": self.learned(params),
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        trial, (gradient, steepness, value) = ravel(params), self.evaluated(params, gradients, loss)
        first = ~state["level"].isfinite()
        noise = ROUNDING * torch.finfo(value.dtype).eps * torch.where(first, 0, state["level"].abs())
        share = (state["level"] - value + noise) / (state["promised"] + noise)
        taken = first | (share > ACCEPTED)
        made = self.model(params, loss, gradient, state["model"])
        model = {name: torch.where(taken, made[name], x) for name, x in state["model"].items()}
        standing = torch.where(taken, trial, state["standing"])
        slope = torch.where(taken, gradient, state["gradient"])
        radius = torch.where(
            first, self.first_radius(trial, model), next_radius(share, state["length"], state["radius"])
        )
        move, promised, length = self.solve(model, slope, radius)
        after = {
            "standing": standing,
            "level": torch.where(taken, value, state["level"]),
            "slope": torch.where(taken, steepness, state["slope"]),
            "gradient": slope,
            "radius": radius,
            "promised": promised,
            "length": length,
            "model": model,
        }
        return unravel(standing + move, params), after

    def attempt(self, before: State, after: State) -> Attempt:
        """Return the attempt of a step; a trial that is not taken counts, too, as in MINPACK."""
        return Attempt(before["level"].isfinite(), before["standing"], before["level"], before["promised"])


def next_radius(share: Tensor, length: Tensor, radius: Tensor) -> Tensor:
    """Return the radius after a step of this length that gave a share of the promised fall, [] each."""
    reached = length >= 0.99 * radius
    grown = torch.where((share > GOOD) & reached, GROWN * radius, radius)
    return torch.where(share >= POOR, grown, SHRUNK * length)
