"""Nonlinear conjugate gradients."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.optimizers.parts.searching import Line, Move, Searching
from descend.types import Params, State
from descend.vectors import numel, quotient


@dataclass(frozen=True)
class NonlinearCG(Searching):
    """p ← −∇f(x) + β p with β = max(0, ∇f(x)·y / ‖∇f(x')‖²), x ← x + t p; y is the change of the gradient from x'.

    Polak & Ribière (1969), with β ≥ 0: Gilbert & Nocedal, "Global convergence properties of conjugate gradient methods"
    (SIAM J. Optim. 2, 1992); Nocedal & Wright, "Numerical Optimization" (2006), equation 5.45. t is of the strong Wolfe
    conditions with c₂ = 0.4 as in scipy, its first trial where the line falls as the last one did. Memory for a few
    vectors.

    The run stands at the lowest point of the search; the parameters of a step are a trial point, and each step costs
    one evaluation.

    Args:
        lr: the first trial of each line, t, at most; of the first line, the length of the step at most. > 0.
    """

    flatness: ClassVar[float] = 0.4

    def learned(self, params: Params) -> State:
        like = next(iter(params.values()))
        return {"direction": like.new_zeros(numel(params)), "square": like.new_zeros(())}

    def turn(self, move: Move, learned: State) -> tuple[Line, State]:
        gradient, square = move.gradient, torch.dot(move.gradient, move.gradient)
        share = quotient(torch.dot(gradient, move.change), learned["square"]).clamp(min=0)
        direction = share * learned["direction"] - gradient
        downhill = (torch.dot(direction, gradient) < 0) & ~move.stuck
        direction = torch.where(downhill, direction, -gradient)
        first = (learned["square"] == 0) | move.stuck
        line = Line(direction, torch.where(first, self.short(direction), self.expecting(move, direction)))
        new = {"direction": direction, "square": square}
        return line, {name: torch.where(move.taken, x, learned[name]) for name, x in new.items()}
