"""L-BFGS."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.optimizers.parts.curved import curves
from descend.optimizers.parts.searching import Line, Move, Searching
from descend.types import Params, State
from descend.vectors import numel, quotient


@dataclass(frozen=True)
class LBFGS(Searching):
    """x ← x − t H ∇f(x), where H is BFGS's matrix of the last few steps, begun anew from yᵀs / yᵀy · I at each.

    Liu & Nocedal, "On the limited memory BFGS method for large scale optimization" (Math. Program. 45, 1989); Nocedal &
    Wright, "Numerical Optimization" (2006), algorithms 7.4 (two loops over the pairs) and 7.5. t is of the strong Wolfe
    conditions. A pair is kept where yᵀs > ε ‖y‖ ‖s‖, a bound that knows no scale; where no point of the line is lower
    all pairs are forgotten.

    The run stands at the lowest point of the search; the parameters of a step are a trial point, and each step costs
    one evaluation.

    Args:
        lr: the first trial of each line, t; of the first line, the length of the step at most. > 0.
        memory: pairs of steps and changes of the gradient that are kept, ≥ 1.
    """

    memory: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "memory", at_least=1)

    def learned(self, params: Params) -> State:
        like = next(iter(params.values()))
        pairs = like.new_zeros(self.memory, numel(params))
        return {"steps": pairs, "changes": pairs.clone()}

    def turn(self, move: Move, learned: State) -> tuple[Line, State]:
        known = move.taken & curves(move.step, move.change)

        def kept(pairs: Tensor, new: Tensor) -> Tensor:
            pushed = torch.cat([pairs[1:], new[None]])
            return torch.where(known, pushed, torch.where(move.stuck, 0, pairs))

        steps, changes = kept(learned["steps"], move.step), kept(learned["changes"], move.change)
        direction = -two_loops(steps, changes, move.gradient)
        none = (steps[-1] == 0).all()
        length = torch.where(none, self.short(direction), self.full(direction))
        return Line(direction, length), {"steps": steps, "changes": changes}


def two_loops(steps: Tensor, changes: Tensor, gradient: Tensor) -> Tensor:
    """Return H g [n] from pairs [m, n] each, the newest last; rows of zeros are none, and without any it is g."""
    found, shares = gradient, []
    products = [torch.dot(s, y) for s, y in zip(steps.unbind(), changes.unbind(), strict=True)]
    pairs = list(zip(steps.unbind(), changes.unbind(), products, strict=True))
    for s, y, product in reversed(pairs):
        share = quotient(torch.dot(s, found), product)
        found = found - share * y
        shares.append(share)
    s, y, product = pairs[-1]
    found = torch.where(product > 0, product / torch.dot(y, y), 1) * found
    for (s, y, product), share in zip(pairs, reversed(shares), strict=True):
        found = found + (share - quotient(torch.dot(y, found), product)) * s
    return found
