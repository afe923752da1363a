"""What methods for sums of squares share."""

from typing import Any

import torch
from torch import Tensor

from descend.derivatives.columns import jacobian_by_columns
from descend.errors import ConfigurationError
from descend.types import Loss, Params

JACOBIAN = ("decomposes a Jacobian of so many columns", "lbfgs, which needs gradients alone")
"""The matrix of a method for sums of squares, see `Trying`."""


def residuals_and_jacobian(loss: Loss, params: Params) -> tuple[Tensor, Tensor]:
    """Return the residuals r [m] of a loss ‖r‖² and their Jacobian [m, n]; zeros for both where they are not finite.

    Raises:
        ConfigurationError: the loss has no residuals.
    """
    own: Any = getattr(loss, "residuals", None)
    if own is None:
        raise ConfigurationError(
            "The loss has no residuals, but a method for sums of squares needs them; give it an attribute `residuals`: "
            "params -> a vector whose sum of squares it is."
        )
    residuals, jacobian = jacobian_by_columns(own, params)
    finite = residuals.isfinite().all() & jacobian.isfinite().all()
    return torch.where(finite, residuals, 0), torch.where(finite, jacobian, 0)
