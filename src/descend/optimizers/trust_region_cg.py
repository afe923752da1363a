"""A trust region by Hessian-vector products."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.products import HessianProduct
from descend.optimizers.parts.regional import Regional
from descend.scalars import root, smaller
from descend.types import Loss, Params, State
from descend.vectors import numel, quotient


@dataclass(frozen=True)
class TrustRegionCG(Regional):
    """x ← x + p where f falls; conjugate gradients lead to p: as far as they are in the region, and no farther.

    Steihaug, "The conjugate gradient method and trust regions in large scale optimization" (SIAM J. Numer. Anal. 20,
    1983); Nocedal & Wright, "Numerical Optimization" (2006), algorithm 7.2. The path of conjugate gradients for
    ∇²f(x) p = −∇f(x) ends once the residual is at most min(forcing, √‖∇f‖) ‖∇f‖, or at a direction of negative
    curvature, which it follows to the radius. Its length grows all the way, so that a smaller region cuts the same
    path: a trial that is not taken costs no product.

    The run stands at the last point taken, whose value never rises by more than rounding; the parameters of a step are
    a trial point. A step costs one evaluation, and min(n, iterations) products; memory for as many vectors.

    Args:
        lr: the first radius Δ, > 0.
        forcing: largest residual as a fraction of the gradient, in [0, 1); 0 solves the system as well as can be.
        iterations: conjugate gradients in one step at most, ≥ 1.
    """

    forcing: float = 0.5
    iterations: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "forcing", at_least=0, below=1)
        check_number(self, "iterations", at_least=1)

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"hvp": steps * self.iterations}

    def suited(self, params: Params, kinds: Mapping[str, str]) -> Self:
        """Return the optimizer with no more iterations than there are parameters: so many solve the system."""
        return replace(self, iterations=min(self.iterations, numel(params)))

    def learned(self, params: Params) -> State:
        like, n = next(iter(params.values())), numel(params)
        count = min(n, self.iterations)
        zeros = like.new_zeros(count)
        return {"directions": like.new_zeros(count, n), "squares": zeros, "curvatures": zeros.clone()}

    def model(self, params: Params, loss: Loss, gradient: Tensor, before: State) -> State:
        """Return the path: its directions d [k, n], dᵀ∇²f d [k], and ‖r‖² [k] of the residuals, 0 behind its end."""
        product, residual = HessianProduct(loss, params), -gradient
        direction, square = residual, torch.dot(residual, residual)
        tolerance = smaller(self.forcing, root(root(square))).to(square.dtype)
        goal, going = tolerance * tolerance * square, square > 0
        directions, squares, curvatures = [], [], []
        for _ in range(min(len(gradient), self.iterations)):
            image = product(direction)
            curvature = torch.dot(direction, image)
            directions.append(direction)
            squares.append(torch.where(going, square, 0))
            curvatures.append(curvature)
            residual = residual - quotient(square, curvature) * image
            before, square = square, torch.dot(residual, residual)
            direction = residual + quotient(square, before) * direction
            going = going & (curvature > 0) & (square > goal)
        return {
            "directions": torch.stack(directions),
            "squares": torch.stack(squares),
            "curvatures": torch.stack(curvatures),
        }

    def solve(self, model: State, gradient: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        found, promised = torch.zeros_like(gradient), torch.zeros_like(radius)
        inside = torch.ones_like(radius, dtype=torch.bool)
        rows = zip(*(model[name].unbind() for name in ("directions", "squares", "curvatures")), strict=True)
        for direction, square, curvature in rows:
            farthest = to_boundary(found, direction, radius)
            whole = quotient(square, curvature)
            cut = (curvature <= 0) | (whole >= farthest)
            share = torch.where(inside & (square > 0), torch.where(cut, farthest, whole), 0)
            found = torch.addcmul(found, share, direction)
            promised = promised + share * square - share * share * curvature / 2
            inside = inside & ~cut
        length = torch.linalg.vector_norm(found)
        return found, promised, torch.where(inside, length, radius)


def to_boundary(inside: Tensor, direction: Tensor, radius: Tensor) -> Tensor:
    """Return the t ≥ 0 at which ‖p + t d‖ is the radius, for p [n] within it, []."""
    square, half = torch.dot(direction, direction), torch.dot(inside, direction)
    room = (radius * radius - torch.dot(inside, inside)).clamp(min=0)
    return quotient(room, half + (half * half + square * room).sqrt())
