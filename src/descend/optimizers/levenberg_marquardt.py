"""The Levenberg-Marquardt method."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.optimizers.parts.fitting import JACOBIAN, residuals_and_jacobian
from descend.optimizers.parts.regional import Regional
from descend.optimizers.parts.spectrum import within_radius
from descend.scalars import cast
from descend.types import Loss, Params, State
from descend.vectors import numel


@dataclass(frozen=True)
class LevenbergMarquardt(Regional):
    """x ← x + p where f = ‖r‖² falls; p minimises ‖r + J p‖² over ‖D p‖ ≤ Δ, so that (JᵀJ + μD²) p = −Jᵀr.

    Levenberg (1944), Marquardt (1963), as Moré has it: "The Levenberg-Marquardt algorithm: implementation and theory"
    (Lecture Notes in Math. 630, 1978). D holds the largest norm of each column of J so far, which makes the method
    blind to the units of the parameters; μ is found from Δ by the singular values of J D⁻¹. For sums of squares alone.

    The run stands at the last point taken, whose value never rises by more than rounding; the parameters of a step are
    a trial point. A step costs one evaluation, a Jacobian (n backward passes) and its singular values, O(m n²).

    Args:
        lr: the first radius Δ as a multiple of ‖D x‖, or of 1 where that is 0; > 0. A large one may jump out of the
            valley that leads to the minimum.

    Raises:
        ConfigurationError: by `init`, for more than 4,096 parameters.
    """

    matrix = JACOBIAN

    lr: float = 0.1

    @property
    def needs_squares(self) -> bool:
        return True

    @property
    def differentiates(self) -> int:
        return 2

    def learned(self, params: Params) -> State:
        like, n = next(iter(params.values())), numel(params)
        zeros = like.new_zeros(n)
        return {"values": zeros, "slopes": zeros.clone(), "vectors": like.new_zeros(n, n), "scale": zeros.clone()}

    def model(self, params: Params, loss: Loss, gradient: Tensor, before: State) -> State:
        """Return the model's eigenvalues and slopes along the directions [n, n] of J D⁻¹, ascending, and D [n]."""
        residuals, jacobian = residuals_and_jacobian(loss, params)
        norms = torch.linalg.vector_norm(jacobian, dim=0)
        scale = torch.maximum(torch.where(norms > 0, norms, torch.where(before["scale"] > 0, 0, 1)), before["scale"])
        few = len(gradient) - len(residuals)  # rows of zeros change nothing, and give all n directions
        padded = torch.cat([jacobian / scale, jacobian.new_zeros(max(few, 0), len(gradient))])
        left, sizes, right = torch.linalg.svd(padded, full_matrices=False)
        slopes = 2 * sizes * (torch.cat([residuals, residuals.new_zeros(max(few, 0))]) @ left)
        return {
            "values": 2 * (sizes * sizes).flip(0),
            "slopes": slopes.flip(0),
            "vectors": right.flip(0).T.contiguous(),
            "scale": scale,
        }

    def first_radius(self, point: Tensor, model: State) -> Tensor:
        length = torch.linalg.vector_norm(model["scale"] * point)
        return cast(self.lr, point) * torch.where(length > 0, length, 1)

    def solve(self, model: State, gradient: Tensor, radius: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, slopes = model["values"], model["slopes"]
        found = within_radius(values, slopes, radius)
        promised = -(slopes * found).sum() - (values * found * found).sum() / 2
        return (model["vectors"] @ found) / model["scale"], promised, torch.linalg.vector_norm(found)
