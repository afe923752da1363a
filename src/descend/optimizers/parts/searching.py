"""Methods made of a direction and a search along it."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.optimizers.parts.trying import Attempt, Trying
from descend.optimizers.parts.wolfe import looked, search_from
from descend.scalars import cast, ratio, smaller
from descend.types import Loss, Params, State


class Move(NamedTuple):
    """A move of the point from which lines are searched, x to x⁺.

    Attributes:
        taken: whether there is one, bool []; where not, the line is searched on, and what a method makes is not used.
        stuck: whether nothing lower was found on the whole line, bool []: then x⁺ is x.
        step, change: s = x⁺ − x and y = ∇f(x⁺) − ∇f(x), [n] each.
        gradient: ∇f(x⁺), [n].
        fall: f(x⁺) − f(x), []; infinite at the first.
        descent, length: the slope and the step of the line that led here, ∇f(x)·p and t, [] each.
        params: x⁺ by name.
        loss: f.
    """

    taken: Tensor
    stuck: Tensor
    step: Tensor
    change: Tensor
    gradient: Tensor
    fall: Tensor
    descent: Tensor
    length: Tensor
    params: Params
    loss: Loss


class Line(NamedTuple):
    """A direction p [n] and the t to try first along it, []; downhill, or −∇f takes its place."""

    direction: Tensor
    length: Tensor


@dataclass(frozen=True)
class Searching(Trying):
    """x ← x + t p, where p is the method's direction and t is of the strong Wolfe conditions, see `parts.wolfe`.

    Args:
        lr: the first trial of a line: t, or, before the method has learned of the function, the length of t p at most.

    Attributes:
        flatness: c₂ of the conditions; 0.9 for directions of Newton's kind (Nocedal & Wright, section 3.1).
    """

    flatness: ClassVar[float] = 0.9

    lr: float = 1.0

    @abstractmethod
    def learned(self, params: Params) -> State:
        """Return what directions are made of before the first step: nothing learned."""

    @abstractmethod
    def turn(self, move: Move, learned: State) -> tuple[Line, State]:
        """Return the line to search from x⁺ on, and what is learned by then; `learned` as it is where nothing moved."""

    def full(self, direction: Tensor) -> Tensor:
        """Return lr as the first trial, []."""
        return cast(self.lr, direction)

    def expecting(self, move: Move, direction: Tensor) -> Tensor:
        """Return the first trial at which the line falls as the last one did, []: at most lr.

        Nocedal & Wright, "Numerical Optimization", equation 3.60, and the 1% beyond it that lets it reach lr.
        """
        length = 2.02 * move.fall / torch.dot(move.gradient, direction)
        return torch.where(length > 0, torch.minimum(length, self.full(direction)), self.full(direction))

    def short(self, direction: Tensor) -> Tensor:
        """Return the first trial along a direction of unknown length, []: at most 1, and a step of length lr at most.

        For the first step of methods that know no scale; a gradient that is short is one that is close to a minimum.
        """
        return smaller(1, ratio(self.lr, torch.linalg.vector_norm(direction))).to(direction.dtype)

    def init(self, params: Params) -> State:
        own = self.before_first_point(params)
        point, zero = own["standing"], torch.zeros_like(own["level"])
        return {
            **own,
            "point": point.clone(),
            "gradient": torch.zeros_like(point),
            "direction": torch.zeros_like(point),
            "search": search_from(own["level"].clone(), zero, zero.clone()),
            "learned": self.learned(params),
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        trial, before = ravel(params), state["search"]
        gradient, steepness, value = self.evaluated(params, gradients, loss)
        search, taken, lower = looked(before, value, torch.dot(gradient, state["direction"]), self.flatness)
        move = Move(
            taken=taken,
            stuck=before["last"] & (before["length"] == 0),
            step=trial - state["point"],
            change=gradient - state["gradient"],
            gradient=gradient,
            fall=value - before["value"],
            descent=before["descent"],
            length=before["length"],
            params=params,
            loss=loss,
        )
        line, learned = self.turn(move, state["learned"])
        descent = torch.dot(gradient, line.direction)
        downhill = descent < 0
        direction = torch.where(downhill, line.direction, -gradient)
        descent = torch.where(downhill, descent, -torch.dot(gradient, gradient))
        fresh = search_from(value, descent, torch.where(downhill, line.length, self.short(gradient)))
        after = {
            "standing": torch.where(lower, trial, state["standing"]),
            "level": torch.where(lower, value, state["level"]),
            "slope": torch.where(lower, steepness, state["slope"]),
            "point": torch.where(taken, trial, state["point"]),
            "gradient": torch.where(taken, gradient, state["gradient"]),
            "direction": torch.where(taken, direction, state["direction"]),
            "search": {name: torch.where(taken, x, search[name]) for name, x in fresh.items()},
            "learned": learned,
        }
        there = torch.addcmul(after["point"], after["search"]["length"], after["direction"])
        return unravel(there, params), after

    def attempt(self, before: State, after: State) -> Attempt:
        """Return the attempt of a step; along a line only the point that was taken counts, if one was lower."""
        line = before["search"]
        counts = (after["search"]["trials"] == 0) & (line["length"] > 0) & line["value"].isfinite()
        return Attempt(counts, before["point"], line["value"], -line["length"] * line["descent"])
