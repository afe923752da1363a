"""Newton's method with cubic regularisation."""

from dataclasses import dataclass

from torch import Tensor

from descend.optimizers.parts.hessian_region import HessianRegion
from descend.optimizers.parts.spectrum import with_cubic


@dataclass(frozen=True)
class Cubic(HessianRegion):
    """x ← x + p where f falls; p minimises ∇f(x)·p + ½ pᵀ∇²f(x) p + σ/3 ‖p‖³, exactly.

    Nesterov & Polyak, "Cubic regularization of Newton method and its global performance" (Math. Program. 108, 2006).
    σ = 1/lr at first, and adapts as in Cartis, Gould & Toint, "Adaptive cubic regularisation methods" (Math. Program.
    127, 2011), algorithm 2.1: with ρ the fall over what the quadratic promised it is halved where ρ > 3/4, and
    multiplied by 4 where ρ < 1/4.

    The run stands at the last point taken, whose value never rises by more than rounding; the parameters of a step are
    a trial point. A step costs one evaluation, a Hessian (n backward passes) and an eigenvalue problem, O(n³).

    Args:
        lr: the first 1/σ, > 0.
        unit_free: measure steps in units of the curvature, see `parts.hessian_region`.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    def within(self, values: Tensor, slopes: Tensor, radius: Tensor) -> tuple[Tensor, Tensor]:
        return with_cubic(values, slopes, radius), radius
