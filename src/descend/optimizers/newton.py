"""Newton's method with the whole Hessian."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.derivatives.hessian import hessian
from descend.optimizers.parts.few import EIGENVALUES
from descend.optimizers.parts.searching import Line, Move, Searching
from descend.optimizers.parts.spectrum import Eigenbasis
from descend.scalars import cast
from descend.types import Params, State


@dataclass(frozen=True)
class Newton(Searching):
    """x ← x − t · Q |Λ|⁻¹ Qᵀ ∇f(x), where ∇²f(x) = Q Λ Qᵀ; t is of the strong Wolfe conditions.

    The damped Newton method (Boyd & Vandenberghe, "Convex optimization", section 9.5.2). With the eigenvalues' sizes in
    place of negative ones the direction leads downhill everywhere, away from saddle points too (Greenstadt, Math. Comp.
    21, 1967; Nocedal & Wright, "Numerical Optimization", section 3.4; Dauphin et al., "Identifying and attacking the
    saddle point problem", NeurIPS 2014). No |λ| below the floor is divided by; a Hessian of zeros counts as the
    identity.

    The run stands at the lowest point of the search, so that f never rises by more than rounding; the parameters of a
    step are a trial point. A step costs one evaluation, a Hessian (n backward passes) and an eigenvalue problem, O(n³).

    Args:
        lr: the first trial of each line, in Newton steps, > 0.
        floor: smallest |λ| as a fraction of the largest, in [0, 1]; never less than n rounding errors.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    matrix = (EIGENVALUES, "newton_cg, which needs only Hessian-vector products")

    floor: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "floor", at_least=0, at_most=1)

    @property
    def differentiates(self) -> int:
        return 2

    def evaluations(self, steps: int, state: State) -> dict[str, int]:
        return {"hessian": steps}

    def learned(self, params: Params) -> State:
        return {}

    def turn(self, move: Move, learned: State) -> tuple[Line, State]:
        direction = self.direction(hessian(move.loss, move.params), move.gradient)
        return Line(direction, self.full(direction)), learned

    def direction(self, matrix: Tensor, gradient: Tensor) -> Tensor:
        """Return −Q |Λ|⁻¹ Qᵀ g, [n]; NaN where the matrix [n, n] is not finite."""
        values, vectors = Eigenbasis.of(matrix)
        sizes = values.abs()
        rounding = len(gradient) * torch.finfo(matrix.dtype).eps
        floor = torch.clamp(cast(self.floor, sizes) * torch.ones_like(sizes), min=rounding)
        least = torch.where(sizes.amax() > 0, floor * sizes.amax(), 1)
        return -(vectors @ ((gradient @ vectors) / torch.maximum(sizes, least)))
