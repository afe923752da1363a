"""What methods that take their curvature from a network's outputs share."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from descend.errors import ConfigurationError
from descend.types import Composed, Loss


def network_of(loss: Loss) -> Composed:
    """Return a loss as functions of a network's outputs.

    Raises:
        ConfigurationError: the loss has no such form.
    """
    own: Any = getattr(loss, "composed", None)
    if own is None:
        raise ConfigurationError(
            "The loss tells of no network, but a method that takes the curvature from a network's outputs needs one; "
            "give it an attribute `composed`: () -> descend.types.Composed."
        )
    found: Composed = own()
    return found


def drawn_of(network: Composed) -> Callable[[Tensor], Tensor]:
    """Return what draws labels, see `Composed`.

    Raises:
        ConfigurationError: the losses are not known to be minus the logarithm of a density.
    """
    if network.drawn is None:
        raise ConfigurationError(
            "The method draws labels from the model's own distribution, which is known of one loss alone, the "
            "cross-entropy or the squared error of an objective; leave objective.loss out, or use "
            "optimizer=natural_gradient."
        )
    return network.drawn
