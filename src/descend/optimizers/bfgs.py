"""BFGS."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.optimizers.parts.curved import curves
from descend.optimizers.parts.searching import Line, Move, Searching
from descend.types import Params, State
from descend.vectors import numel


@dataclass(frozen=True)
class BFGS(Searching):
    """x ← x − t H ∇f(x), and H ← (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ with ρ = 1/yᵀs; t is of the strong Wolfe
    conditions, s the step and y the change of the gradient.

    Broyden, Fletcher, Goldfarb and Shanno (1970) each; Nocedal & Wright, "Numerical Optimization" (2006), algorithm
    6.1. H begins as I, and begins anew where no point of a line is lower; where yᵀs is not above 0 by more than
    rounding it stays as it is. The first trial along a line expects the fall of the step before (equation 3.60), as
    scipy's does.

    The run stands at the lowest point of the search; the parameters of a step are a trial point, and each step costs
    one evaluation. Memory for n² numbers.

    Args:
        lr: the first trial of each line, t, at most; of the first line, the length of the step at most. > 0.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    matrix = ("keeps a matrix of that size", "lbfgs, which keeps a few vectors")

    def learned(self, params: Params) -> State:
        like = next(iter(params.values()))
        identity = torch.eye(numel(params), dtype=like.dtype, device=like.device)
        return {"inverse": identity, "fresh": torch.ones((), dtype=torch.bool, device=like.device)}

    def turn(self, move: Move, learned: State) -> tuple[Line, State]:
        s, y, inverse = move.step, move.change, learned["inverse"]
        known = move.taken & curves(s, y)
        identity = torch.eye(len(s), dtype=s.dtype, device=s.device)
        inverse = torch.where(known, updated(inverse, s, y), torch.where(move.stuck, identity, inverse))
        fresh = (learned["fresh"] | move.stuck) & ~known
        direction = -(inverse @ move.gradient)
        length = torch.where(fresh, self.short(direction), self.expecting(move, direction))
        return Line(direction, length), {"inverse": inverse, "fresh": fresh}


def updated(inverse: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """Return the inverse Hessian [n, n] after a step s and a change y of the gradient, [n] each, where yᵀs > 0.

    (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ, multiplied out: the products of matrices become one of a matrix with y.
    """
    image, product = inverse @ y, torch.dot(s, y)
    outer = torch.outer(s, image)
    factor = (1 + torch.dot(y, image) / product) / product
    return inverse - (outer + outer.T) / product + factor * torch.outer(s, s)
