"""A trust region with the whole Hessian."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.optimizers.parts.hessian_region import HessianRegion
from descend.optimizers.parts.spectrum import within_radius


@dataclass(frozen=True)
class TrustRegion(HessianRegion):
    """x ← x + p where f falls; p minimises ∇f(x)·p + ½ pᵀ∇²f(x) p over ‖p‖ ≤ Δ, exactly.

    Moré & Sorensen, "Computing a trust region step" (SIAM J. Sci. Stat. Comput. 4, 1983); Nocedal & Wright, "Numerical
    Optimization" (2006), algorithm 4.1 and section 4.3. It leaves saddle points, also where the gradient is zero.

    The run stands at the last point taken, whose value never rises by more than rounding; the parameters of a step are
    a trial point. A step costs one evaluation, a Hessian (n backward passes) and an eigenvalue problem, O(n³).

    Args:
        lr: the first radius Δ, > 0.
        unit_free: measure steps in units of the curvature, see `parts.hessian_region`.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    def within(self, values: Tensor, slopes: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        found = within_radius(values, slopes, radius)
        return found, torch.linalg.vector_norm(found)
