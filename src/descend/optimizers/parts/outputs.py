"""The common part of methods that take their curvature from a network's outputs."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from descend.errors import ConfigurationError
from descend.types import Composed, Loss


def network_of(loss: Loss) -> Composed:
    """Return a loss as functions of a network's outputs.

    Raises:
        ConfigurationError: the loss has no attribute `composed`.
    """
    own: Any = getattr(loss, "composed", None)
    if own is None:
        raise ConfigurationError(
            "The loss has no network, but a method that takes the curvature from a network's outputs needs one; "
            "give the loss an attribute `composed`: () -> descend.types.Composed."
        )
    found: Composed = own()
    return found


def drawn_of(network: Composed) -> Callable[[Tensor], Tensor]:
    """Return the loss at labels that the model draws, see `Composed.drawn`.

    Raises:
        ConfigurationError: the losses are not known to be minus the logarithm of a density.
    """
    if network.drawn is None:
        raise ConfigurationError(
            "The method draws labels from the model's own distribution, which is known only where the loss is one "
            "cross-entropy or one squared error, but this objective has several losses, or a loss of its own: use "
            "optimizer=natural_gradient, which draws no labels. A network of yours has a known loss if its "
            "objective.loss is left out."
        )
    return network.drawn
