"""Labels drawn from a model's own distribution p, where the loss is −log p.

Methods of the Fisher matrix use them: at such labels the gradient of the loss has the mean 0, and n times its
covariance is the Fisher matrix, if the loss is the mean over n labels (Martens 2020, "New insights and perspectives on
the natural gradient method", §5). Each run of a stack draws its own labels, see `graph.chance`.
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
        loss: (outputs, labels) -> the mean of the losses [].
        targets: the labels of the examples.
        draw: outputs -> labels like the targets, drawn from the model's distribution; None if the loss is no −log p.
    """

    def drawn(at: Tensor) -> Tensor:
        return targets.numel() ** 0.5 * loss(at, draw(at.detach()))  # type: ignore[misc]

    return Composed(outputs, lambda at: loss(at, targets), None if draw is None else drawn)


def drawn_classes(scores: Tensor) -> Tensor:
    """Draw classes, int64 [...], from softmax(scores), [..., classes], the distribution of the cross-entropy.

    Gumbel's method: add −log(−log u) to each score, u uniform on [0, 1), and take the largest.
    """
    return (scores - (-torch.rand_like(scores).log()).log()).argmax(-1)


def drawn_numbers(means: Tensor) -> Tensor:
    """Draw normal numbers of these means, [...], and variance 1/2: the squared error is −log of this density."""
    return means + 0.5**0.5 * torch.randn_like(means)
