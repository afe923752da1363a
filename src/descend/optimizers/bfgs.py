"""BFGS."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.optimizers.newton import require_few
from descend.optimizers.parts.curved import curves
from descend.optimizers.parts.searching import Move, Searching
from descend.types import Params, State
from descend.vectors import numel


@dataclass(frozen=True)
class BFGS(Searching):
    """x ← x − t H ∇f(x), and H ← (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ with ρ = 1/yᵀs; t is of the strong Wolfe
    conditions, s the step and y the change of the gradient.

    Broyden, Fletcher, Goldfarb and Shanno (1970) each; Nocedal & Wright, "Numerical Optimization" (2006), algorithm
    6.1, with equation 6.20: H is yᵀs / yᵀy · I before its first update. Where yᵀs is not above 0 by more than rounding,
    or no point of the line is lower, H stays as it is, or begins anew.

    The run stands at the lowest point of the search; the parameters of a step are a trial point, and each step costs
    one evaluation. Memory for n² numbers.

    Args:
        lr: the first trial of each line, t; of the first line, the length of the step at most. > 0.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    def init(self, params: Params) -> State:
        require_few(self, params, "keeps a matrix of that size", "lbfgs, which keeps a few vectors")
        return super().init(params)

    def learned(self, params: Params) -> State:
        like = next(iter(params.values()))
        identity = torch.eye(numel(params), dtype=like.dtype, device=like.device)
        return {"inverse": identity, "fresh": torch.ones((), dtype=torch.bool, device=like.device)}

    def turn(self, move: Move, learned: State) -> tuple[Tensor, State, Tensor]:
        s, y, inverse = move.step, move.change, learned["inverse"]
        known = move.taken & curves(s, y)
        product = torch.dot(s, y)
        scale = torch.where(learned["fresh"], product / torch.dot(y, y), 1)
        better = updated(scale * inverse, s, y, product)
        identity = torch.eye(len(s), dtype=s.dtype, device=s.device)
        inverse = torch.where(known, better, torch.where(move.stuck, identity, inverse))
        fresh = (learned["fresh"] | move.stuck) & ~known
        return -(inverse @ move.gradient), {"inverse": inverse, "fresh": fresh}, fresh


def updated(inverse: Tensor, s: Tensor, y: Tensor, product: Tensor) -> Tensor:
    """Return the inverse Hessian [n, n] after a step s and a change y of the gradient, [n] each; `product` is yᵀs.

    (I − ρ s yᵀ) H (I − ρ y sᵀ) + ρ s sᵀ, multiplied out: the products of matrices become one of a matrix with y.
    """
    image = inverse @ y
    outer = torch.outer(s, image)
    factor = (1 + torch.dot(y, image) / product) / product
    return inverse - (outer + outer.T) / product + factor * torch.outer(s, s)
