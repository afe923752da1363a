"""Newton's method by Hessian-vector products."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.products import HessianProduct, Product
from descend.optimizers.parts.searching import Line, Move, Searching
from descend.types import Params, State


@dataclass(frozen=True)
class NewtonCG(Searching):
    """x ← x + t p, where p solves ∇²f(x) p = −∇f(x) roughly, and t is of the strong Wolfe conditions.

    The line search Newton-CG method (Nocedal & Wright, "Numerical Optimization", algorithm 7.1; Dembo & Steihaug,
    "Truncated-Newton algorithms for large-scale unconstrained optimization", Math. Program. 26, 1983). Conjugate
    gradients end once the residual is at most min(forcing, √‖∇f‖) ‖∇f‖, which makes the convergence superlinear, or
    where a direction of negative curvature is met, before it: p leads downhill always. No matrix is formed: it is for
    any number of parameters, one run at a time.

    The run stands at the lowest point of the search; the parameters of a step are a trial point.

    Args:
        lr: the first trial of each line, in Newton steps, > 0.
        forcing: largest residual as a fraction of the gradient, in [0, 1); 0 solves the system as well as can be.
        iterations: conjugate gradients in one step, ≥ 1; each costs a Hessian-vector product.
    """

    batchable: ClassVar[bool] = False

    forcing: float = 0.5
    iterations: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "forcing", at_least=0, below=1)
        check_number(self, "iterations", at_least=1)

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"hvp": state["learned"]["products"]}

    def learned(self, params: Params) -> State:
        return {"products": 0}

    def turn(self, move: Move, learned: State) -> tuple[Line, State]:
        gradient = move.gradient
        if not move.taken:
            return Line(gradient, self.full(gradient)), learned
        rounding = torch.finfo(gradient.dtype).eps
        tolerance = max(rounding, min(self.forcing, float(torch.linalg.vector_norm(gradient)) ** 0.5))
        product = HessianProduct(move.loss, move.params)
        direction, products = truncated_cg(product, -gradient, tolerance, self.iterations)
        return Line(direction, self.expecting(move, direction)), {"products": learned["products"] + products}


def truncated_cg(product: Product, right: Tensor, tolerance: float, iterations: int) -> tuple[Tensor, int]:
    """Solve B p = b [n] by conjugate gradients from p = 0, until ‖b − B p‖ ≤ tolerance ‖b‖; also return the products.

    At a direction d with dᵀBd ≤ 0 it returns what it has; at the first b, in the length of a step with |dᵀBd|.
    """
    found, residual, direction = torch.zeros_like(right), right, right
    square = float(right @ right)
    goal = tolerance**2 * square
    for i in range(iterations):
        if square <= goal:
            return found, i
        image = product(direction)
        curvature = float(direction @ image)
        if not curvature > 0:  # NaN too
            return (found if i else right * (square / abs(curvature) if curvature else 1.0)), i + 1
        found = found + (square / curvature) * direction
        residual = residual - (square / curvature) * image
        before, square = square, float(residual @ residual)
        direction = residual + (square / before) * direction
    return found, iterations
