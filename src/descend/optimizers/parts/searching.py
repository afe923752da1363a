"""Methods made of a direction and a search along it."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.optimizers.parts.trying import Trying
from descend.optimizers.parts.wolfe import Search, begun, looked
from descend.scalars import real
from descend.types import Loss, Params, State


class Move(NamedTuple):
    """A move of the point from which lines are searched.

    Attributes:
        taken: whether there is one, bool []; where not, the line is searched on.
        stuck: whether nothing lower was found on the whole line, bool [].
        step, change: s = x⁺ − x and y = ∇f(x⁺) − ∇f(x), [n].
        gradient: ∇f(x⁺), [n].
        params: x⁺ by name.
        loss: f.
    """

    taken: Tensor
    stuck: Tensor
    step: Tensor
    change: Tensor
    gradient: Tensor
    params: Params
    loss: Loss


@dataclass(frozen=True)
class Searching(Trying):
    """x ← x + t p, where p is the method's direction and t is of the strong Wolfe conditions, see `parts.wolfe`.

    Args:
        lr: the first trial of a line: t, or, before the method has learned of the function, the length of t p at most.
    """

    lr: float = 1.0

    @abstractmethod
    def learned(self, params: Params) -> State:
        """Return what the direction is made of before the first step: nothing learned."""

    @abstractmethod
    def turn(self, move: Move, learned: State) -> tuple[Tensor, State, Tensor]:
        """Return p [n], what it was made of, and whether lr bounds the length of the first trial, bool [].

        Where there is no move, the results are not used.
        """

    def init(self, params: Params) -> State:
        point = ravel(params).clone()
        infinite = torch.full_like(point[0], torch.inf)
        return {
            "standing": point,
            "level": infinite,
            "slope": infinite.clone(),
            "point": point.clone(),
            "gradient": torch.zeros_like(point),
            "direction": torch.zeros_like(point),
            "search": begun(infinite.clone(), torch.zeros_like(infinite), torch.zeros_like(infinite)),
            "learned": self.learned(params),
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        trial, value, gradient = ravel(params), loss(params), ravel(gradients)
        search, taken, lower = looked(state["search"], value, torch.dot(gradient, state["direction"]))
        stuck = taken & (state["search"]["length"] == 0) & state["search"]["last"]
        s, y = trial - state["point"], gradient - state["gradient"]
        move = Move(taken, stuck, s, y, gradient, params, loss)
        direction, learned, short = self.turn(move, state["learned"])
        descent = torch.dot(gradient, direction)
        downhill = descent < 0
        direction = torch.where(downhill, direction, -gradient)
        descent = torch.where(downhill, descent, -torch.dot(gradient, gradient))
        fresh = begun(value, descent, self.first(short | ~downhill, direction))
        after = {
            "standing": torch.where(lower, trial, state["standing"]),
            "level": torch.where(lower, value, state["level"]),
            "slope": torch.where(lower, torch.linalg.vector_norm(gradient), state["slope"]),
            "point": torch.where(taken, trial, state["point"]),
            "gradient": torch.where(taken, gradient, state["gradient"]),
            "direction": torch.where(taken, direction, state["direction"]),
            "search": {name: torch.where(taken, x, search[name]) for name, x in fresh.items()},
            "learned": learned,
        }
        there = torch.addcmul(after["point"], after["search"]["length"], after["direction"])
        return unravel(there, params), after

    def first(self, short: Tensor, direction: Tensor) -> Tensor:
        """Return the first trial along a direction, []."""
        length = torch.linalg.vector_norm(direction)
        bounded = torch.minimum(real(self.lr) / real(length), real(self.lr))
        return torch.where(short, bounded, real(self.lr)).to(direction.dtype)
