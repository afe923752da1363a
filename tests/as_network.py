"""A sum of squares as a network's squared error, for methods that take their curvature from a network's outputs."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from descend.objectives.labels import drawn_numbers
from descend.optimizers.optimizer import Optimizer
from descend.types import Composed, Params


def as_network(residuals: Callable[[Params], Tensor]) -> Composed:
    """Return ‖r‖² as the mean squared error of outputs √m r, [m], of a network whose layers are the matrices."""

    def outputs(params: Params) -> Tensor:
        found = residuals({name: through_a_layer(x) if x.dim() == 2 else x for name, x in params.items()})
        return len(found) ** 0.5 * found

    def drawn(outputs: Tensor) -> Tensor:
        return len(outputs) ** 0.5 * functional.mse_loss(outputs, drawn_numbers(outputs.detach()))

    return Composed(outputs, lambda outputs: outputs.square().mean(), drawn)


def through_a_layer(weight: Tensor) -> Tensor:
    """Return a weight [out, in] as what its layer makes of the unit vectors."""
    return functional.linear(torch.eye(weight.shape[1], dtype=weight.dtype, device=weight.device), weight).T


def attached(optimizer: Optimizer, residuals: Callable[[Params], Tensor], params: Params) -> Optimizer:
    """Return the optimizer of that network, where it reads outputs."""
    return optimizer.attached(as_network(residuals), params) if optimizer.needs_outputs else optimizer
