"""Directions of a plane through a point, in the scale of the parameters there."""

from collections.abc import Callable

import torch
from torch import Tensor

from descend.derivatives import HessianProduct, ravel, spectrum, unravel
from descend.errors import ConfigurationError
from descend.types import Loss, Params
from descend.vectors import norm, quotient


def filter_normalised(direction: Params, params: Params) -> Params:
    """Return a direction whose every filter is as long as that filter of the parameters.

    dᵢⱼ ← dᵢⱼ ‖θᵢⱼ‖ / ‖dᵢⱼ‖, j over the filters of tensor i (Li et al. 2018, "Visualizing the loss landscape of neural
    nets", arXiv 1712.09913, §4). A filter computes one output: it is a slice along the first axis of a tensor of two or
    more axes. A tensor of fewer axes (a bias, the scales of a norm, the numbers of a function) is one filter.
    """

    def scaled(direction: Tensor, params: Tensor) -> Tensor:
        axes = tuple(range(1, params.dim())) if params.dim() > 1 else None
        length, wanted = (torch.linalg.vector_norm(x, dim=axes, keepdim=True) for x in (direction, params))
        return direction * quotient(wanted, length)

    return {name: scaled(x, params[name]) for name, x in direction.items()}


def whole_normalised(direction: Params, params: Params) -> Params:
    """Return a direction as long as the parameters; an eigenvector stays one."""
    factor = quotient(norm(params), norm(direction))
    return {name: x * factor for name, x in direction.items()}


Scaling = Callable[[Params, Params], Params]
"""(direction, parameters) -> the direction in the scale of the parameters."""

SCALES: dict[str, Scaling] = {"filter": filter_normalised, "whole": whole_normalised}


def scaled_rows(rows: Tensor, params: Params, scale: Scaling) -> Tensor:
    """Return directions [k, n] in the scale of the parameters, [k, n]."""
    return torch.stack([ravel(scale(unravel(row, params), params)) for row in rows])


def random_rows(params: Params, generator: torch.Generator) -> Tensor:
    """Return two directions [2, n], drawn from the normal distribution."""
    like = ravel(params)
    drawn = torch.randn((2, len(like)), generator=generator, dtype=torch.float64, device=generator.device)
    return drawn.to(like)


def hessian_rows(loss: Loss, params: Params, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the unit eigenvectors [2, n] of the Hessian's two largest eigenvalues, and these eigenvalues [2].

    The eigenvalues are float64 on the CPU.

    Raises:
        ConfigurationError: an operation has no second derivative, or the Hessian is not finite.
    """
    found = spectrum(HessianProduct(loss, params), generator, top=2).top
    if not found.values.isfinite().all():
        raise ConfigurationError("The Hessian is not finite at the end of the run; choose plane=pca or plane=random.")
    return found.vectors, found.values
