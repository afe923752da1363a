"""When a step along a line is short enough."""

import torch
from torch import Tensor

SUFFICIENT = 1e-4
"""The share of the decrease that the slope promises which a step must keep (Nocedal & Wright, section 3.1)."""

ROUNDING = 4
"""Rounding errors of the value by which it may rise: close to a minimum differences are nothing else."""


def falls(value: Tensor, there: Tensor, promised: Tensor) -> Tensor:
    """Armijo's condition: whether f falls from `value` to `there` by enough, where `promised` is t ∇f·p; all of [].

    Armijo, "Minimization of functions having Lipschitz continuous first partial derivatives" (Pacific J. Math. 16,
    1966); Nocedal & Wright, "Numerical Optimization", eq. 3.4. False where `there` is not a number.
    """
    return there <= value + SUFFICIENT * promised + ROUNDING * torch.finfo(value.dtype).eps * value.abs()
