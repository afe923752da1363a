"""Newton's method with the whole Hessian."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.flat import ravel, unravel
from descend.derivatives.hessian import hessian
from descend.errors import ConfigurationError
from descend.optimizers.arithmetic import add_scaled
from descend.optimizers.backtracking import falls
from descend.optimizers.optimizer import Optimizer
from descend.scalars import cast
from descend.types import Loss, Params, State
from descend.vectors import dot, numel

LARGEST = 4096
"""Parameters: beyond, the eigenvalue problem of a single step takes minutes."""


def require_few(optimizer: Optimizer, params: Params, does: str, instead: str) -> None:
    """Require parameters few enough for a matrix.

    Raises:
        ConfigurationError: they are too many; says what the method does with them, and which one to use instead.
    """
    size = numel(params)
    if size > LARGEST:
        raise ConfigurationError(
            f"{type(optimizer).__name__} was given {size:,} parameters, but it {does} and takes at most {LARGEST:,}; "
            f"use optimizer={instead}."
        )


@dataclass(frozen=True)
class Newton(Optimizer):
    """x ← x − t · Q |Λ|⁻¹ Qᵀ ∇f(x), where ∇²f(x) = Q Λ Qᵀ; t is the first of lr, lr/2, lr/4, … at which f falls.

    The damped Newton method (Boyd & Vandenberghe, "Convex optimization", section 9.5.2). With the eigenvalues' sizes in
    place of negative ones the direction leads downhill everywhere, away from saddle points too (Greenstadt, Math. Comp.
    21, 1967; Nocedal & Wright, "Numerical Optimization", section 3.4; Dauphin et al., "Identifying and attacking the
    saddle point problem", NeurIPS 2014). No |λ| below the floor is divided by; a Hessian of zeros counts as the
    identity. Where f falls at none of the lengths the step is zero: f never rises by more than rounding.

    The lengths are tried all at once, so that runs can be stacked. A step costs a Hessian, n backward passes, and an
    eigenvalue problem, O(n³).

    Args:
        lr: the longest step, in Newton steps, > 0.
        floor: smallest |λ| as a fraction of the largest, in [0, 1]; never less than n rounding errors.
        halvings: how often the step may be halved, ≥ 0.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    lr: float = 1.0
    floor: float = 1e-8
    halvings: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "floor", at_least=0, at_most=1)
        check_number(self, "halvings", at_least=0)

    @property
    def line_search(self) -> bool:
        return True

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"function": steps * (3 + self.halvings), "gradient": steps, "hessian": steps}

    def init(self, params: Params) -> State:
        require_few(
            self, params, "solves an eigenvalue problem of that size at every step",
            "newton_cg, which needs only Hessian-vector products",
        )
        return {}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        direction = unravel(self.direction(hessian(loss, params), ravel(gradients)), params)
        value, slope = loss(params), dot(gradients, direction)
        chosen = torch.zeros_like(value)
        for halving in reversed(range(self.halvings + 1)):
            length = cast(self.lr * 0.5**halving, value)
            there = loss({name: add_scaled(x, direction[name], length) for name, x in params.items()})
            chosen = torch.where(falls(value, there, length * slope), length, chosen)
        return {name: add_scaled(x, direction[name], chosen) for name, x in params.items()}, state

    def direction(self, matrix: Tensor, gradient: Tensor) -> Tensor:
        """Return −Q |Λ|⁻¹ Qᵀ g, [n]; NaN where the matrix [n, n] is not finite, which LAPACK would refuse."""
        finite = matrix.isfinite().all()
        eigenvalues, vectors = torch.linalg.eigh(torch.where(finite, matrix, 0))
        sizes = eigenvalues.abs()
        rounding = len(gradient) * torch.finfo(matrix.dtype).eps
        floor = torch.clamp(cast(self.floor, sizes) * torch.ones_like(sizes), min=rounding)
        least = torch.where(sizes.amax() > 0, floor * sizes.amax(), 1)
        step = vectors @ ((gradient @ vectors) / torch.maximum(sizes, least))
        return torch.where(finite, -step, torch.nan)
