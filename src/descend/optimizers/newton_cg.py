"""Newton's method by Hessian-vector products."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.flat import ravel, unravel
from descend.derivatives.products import HessianProduct, Product
from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.backtracking import falls
from descend.optimizers.optimizer import Optimizer
from descend.scalars import cast
from descend.types import Loss, Params, State
from descend.vectors import dot


@dataclass(frozen=True)
class NewtonCG(Optimizer):
    """x ← x + t p, where p solves ∇²f(x) p = −∇f(x) roughly, and t is the first of lr, lr/2, lr/4, … at which f falls.

    The line search Newton-CG method (Nocedal & Wright, "Numerical Optimization", algorithm 7.1; Dembo & Steihaug,
    "Truncated-Newton algorithms for large-scale unconstrained optimization", Math. Program. 26, 1983). Conjugate
    gradients end once the residual is at most min(forcing, √‖∇f‖) ‖∇f‖, which makes the convergence superlinear, or
    where a direction of negative curvature is met, before it: p leads downhill always. Where f falls at none of the
    lengths the step is zero. No matrix is formed: it is for any number of parameters, one run at a time.

    Args:
        lr: the longest step, in Newton steps, > 0.
        forcing: largest residual as a fraction of the gradient, in [0, 1); 0 solves the system as well as can be.
        iterations: conjugate gradients in one step, ≥ 1; each costs a Hessian-vector product.
        halvings: how often the step may be halved, ≥ 0.
    """

    batchable: ClassVar[bool] = False

    lr: float = 1.0
    forcing: float = 0.5
    iterations: int = 100
    halvings: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "forcing", at_least=0, below=1)
        check_number(self, "iterations", at_least=1)
        check_number(self, "halvings", at_least=0)

    @property
    def line_search(self) -> bool:
        return True

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"hvp": state["products"]}

    def init(self, params: Params) -> State:
        return {"products": 0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        gradient = ravel(gradients)
        rounding = torch.finfo(gradient.dtype).eps
        tolerance = max(rounding, min(self.forcing, float(torch.linalg.vector_norm(gradient)) ** 0.5))
        solution, products = truncated_cg(HessianProduct(loss, params), -gradient, tolerance, self.iterations)
        direction = unravel(solution, params)
        value, slope = loss(params), dot(gradients, direction)
        new, t = params, self.lr
        for _ in range(self.halvings + 1):
            there = {name: add_scaled(x, direction[name], t) for name, x in params.items()}
            if falls(value, loss(there), cast(t, slope) * slope):
                new = there
                break
            t /= 2
        return new, {"products": state["products"] + products}


def truncated_cg(product: Product, right: Tensor, tolerance: float, iterations: int) -> tuple[Tensor, int]:
    """Solve B p = b [n] by conjugate gradients from p = 0, until ‖b − B p‖ ≤ tolerance ‖b‖; also return the products.

    At a direction d with dᵀBd ≤ 0 it returns what it has, b itself at the first.
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
            return (found if i else right), i + 1
        found = found + (square / curvature) * direction
        residual = residual - (square / curvature) * image
        before, square = square, float(residual @ residual)
        direction = residual + (square / before) * direction
    return found, iterations
