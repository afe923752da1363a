"""Natural gradient descent."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.flat import ravel, unravel
from descend.derivatives.gauss_newton import GaussNewtonProduct
from descend.derivatives.products import Product
from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.parts.outputs import network_of
from descend.scalars import Scalar, cast
from descend.types import Loss, Params, State
from descend.vectors import quotient

ROUNDING = 16
"""The rounding error of a curvature, in units of the last place."""


@dataclass(frozen=True)
class NaturalGradient(Optimizer):
    """x ← x − lr · d, where (F + γI) d = g is solved by conjugate gradients, with F the Fisher matrix of the model.

    Amari, "Natural gradient works efficiently in learning" (Neural Computation 10, 1998). For the cross-entropy of a
    softmax and for the squared error F is the Gauss-Newton matrix Jᵀ H J of the batch, J the Jacobian of the outputs
    and H the Hessian of the loss in them (Martens 2020, "New insights and perspectives on the natural gradient method",
    §9.2), so that no labels are drawn. For any other loss, too, F is this Gauss-Newton matrix. Penalties of the
    parameters enter g alone.

    No matrix is formed. Each iteration costs about four gradients.

    Args:
        lr: learning rate, > 0; 1 steps to the minimum of the quadratic model.
        damping: γ ≥ 0.
        iterations: iterations of conjugate gradients in one step, from d = 0, ≥ 1; as many as there are
            parameters solve the system.
    """

    lr: float = 0.1
    damping: float = 0.01
    iterations: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "damping", at_least=0)
        check_number(self, "iterations", at_least=1)

    @property
    def needs_outputs(self) -> bool:
        return True

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"function": steps, "hvp": steps * self.iterations}

    def init(self, params: Params) -> State:
        return {}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        network = network_of(loss)
        fisher = GaussNewtonProduct(network.outputs, network.outer, params)
        direction = solved_by_cg(fisher, ravel(gradients), self.damping, self.iterations)
        found = unravel(direction, params)
        return {name: add_scaled(x, found[name], -self.lr) for name, x in params.items()}, state


def solved_by_cg(matrix: Product, right: Tensor, damping: Scalar, iterations: int) -> Tensor:
    """Return an approximate solution x [n] of (A + damping I) x = b, A positive semi-definite, by conjugate gradients.

    Hestenes & Stiefel, "Methods of conjugate gradients for solving linear systems" (1952), from x = 0. They end early
    at a direction whose curvature is only rounding, compared with the largest so far: x has no component where A is
    singular.
    """
    shift, found, residual, direction = cast(damping, right), torch.zeros_like(right), right, right
    square, largest, going = torch.dot(right, right), right.new_zeros(()), torch.dot(right, right) > 0
    for _ in range(iterations):
        image = torch.addcmul(matrix(direction), shift, direction)
        curvature, length = torch.dot(direction, image), torch.dot(direction, direction)
        largest = torch.maximum(largest, quotient(curvature, length))
        going = going & (curvature > ROUNDING * torch.finfo(right.dtype).eps * largest * length)
        step = torch.where(going, quotient(square, curvature), 0)
        found, residual = torch.addcmul(found, step, direction), torch.addcmul(residual, -step, image)
        before, square = square, torch.dot(residual, residual)
        direction = torch.addcmul(residual, quotient(square, before), direction)
    return found
