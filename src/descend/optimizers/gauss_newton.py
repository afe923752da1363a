"""The Gauss-Newton method."""

from dataclasses import dataclass

import torch

from descend.optimizers.parts.fitting import JACOBIAN, residuals_and_jacobian
from descend.optimizers.parts.searching import Line, Move, Searching
from descend.types import Params, State


@dataclass(frozen=True)
class DampedGaussNewton(Searching):
    """x ← x + t p, where p minimises ‖r + J p‖ for f = ‖r‖², and t is of the strong Wolfe conditions.

    Nocedal & Wright, "Numerical Optimization" (2006), section 10.3. p is the shortest minimiser, by the pseudo-inverse
    of J with its columns brought to one length. For sums of squares alone.

    The run stands at the lowest point of the search; the parameters of a step are a trial point. A step costs one
    evaluation, a Jacobian (n backward passes) and its singular values, O(m n²).

    Args:
        lr: the first trial of each line, in Gauss-Newton steps, > 0.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    matrix = JACOBIAN

    @property
    def needs_squares(self) -> bool:
        return True

    @property
    def differentiates(self) -> int:
        return 2

    def learned(self, params: Params) -> State:
        return {}

    def turn(self, move: Move, learned: State) -> tuple[Line, State]:
        residuals, jacobian = residuals_and_jacobian(move.loss, move.params)
        norms = torch.linalg.vector_norm(jacobian, dim=0)
        scale = torch.where(norms > 0, norms, 1)
        left, sizes, right = torch.linalg.svd(jacobian / scale, full_matrices=False)
        least = max(jacobian.shape) * torch.finfo(sizes.dtype).eps * sizes.amax()
        weights = torch.where(sizes > least, (residuals @ left) / sizes, 0)
        direction = -(weights @ right) / scale
        return Line(direction, self.full(direction)), learned
