"""Labels drawn from a model's own distribution, whose −log density its loss is.

Methods of the Fisher matrix ask for them: at such labels the gradient of the loss has the mean 0, and n times its
covariance is the Fisher matrix, if the loss is the mean over n labels (Martens 2020, "New insights and perspectives on
the natural gradient method", §5). What is drawn at a step becomes the run's own, see `graph.chance`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from descend.types import Composed, Params


def composed_of(
    outputs: Callable[[Params], Tensor],
    loss: Callable[[Tensor, Tensor], Tensor],
    targets: Tensor,
    draw: Callable[[Tensor], Tensor] | None,
) -> Composed:
    """Return a network's loss on examples as functions of its outputs.

    Args:
        outputs: params -> the outputs.
        loss: of outputs against labels [], their mean.
        targets: the labels of the examples.
        draw: outputs -> labels like the targets, drawn from the distribution whose −log density the loss is; or None.
    """

    def drawn(at: Tensor) -> Tensor:
        return targets.numel() ** 0.5 * loss(at, draw(at.detach()))  # type: ignore[misc]

    return Composed(outputs, lambda at: loss(at, targets), None if draw is None else drawn)


def drawn_classes(scores: Tensor) -> Tensor:
    """Draw classes, int64 [...], from softmax(scores), [..., classes]: that of the cross-entropy.

    Gumbel's: the largest of the scores, each with −log(−log u) added, u uniform on [0, 1).
    """
    return (scores - (-torch.rand_like(scores).log()).log()).argmax(-1)


def drawn_numbers(means: Tensor) -> Tensor:
    """Draw numbers around means, [...], of variance 1/2: then the squared error is −log of their density."""
    return means + 0.5**0.5 * torch.randn_like(means)
