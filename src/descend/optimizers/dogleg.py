"""The dogleg method."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.optimizers.parts.hessian_region import HessianRegion
from descend.optimizers.parts.spectrum import by_dogleg


@dataclass(frozen=True)
class Dogleg(HessianRegion):
    """x ← x + p where f falls; p lies on the path from x by the Cauchy point to Newton's point, at most Δ away.

    Powell, "A hybrid method for nonlinear equations" (1970); Nocedal & Wright, "Numerical Optimization" (2006),
    algorithm 4.1 and section 4.1. The path needs positive eigenvalues, so that negative ones are replaced by their
    sizes.

    The run stands at the last point taken, whose value never rises by more than rounding; the parameters of a step are
    a trial point. A step costs one evaluation, a Hessian (n backward passes) and an eigenvalue problem, O(n³).

    Args:
        lr: the first radius Δ, > 0.
        unit_free: measure steps in units of the curvature, see `parts.hessian_region`.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    def within(self, values: Tensor, slopes: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        found = by_dogleg(values, slopes, radius)
        return found, torch.linalg.vector_norm(found)
