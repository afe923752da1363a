"""The best worst case near the mean of the gradients (CAGrad), solved through torchjd."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.complementarity import MOST_LOSSES
from descend.aggregators.gramian import gramian
from descend.aggregators.min_norm import min_norm_weights
from descend.aggregators.torchjd_extra import import_torchjd, weigh
from descend.checks import check_number
from descend.types import State


@dataclass(frozen=True)
class CAGrad(Aggregator):
    """Jᵀλ = argmax over d of minᵢ gᵢ·d with ‖d − g₀‖ ≤ c‖g₀‖, where g₀ is the mean of the gradients.

    Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning" (NeurIPS 2021), Algorithm 1. A loss without a
    gradient has no say in the minimum, for no direction changes it: d is that of the others. Where they can improve no
    further together, λ is that of their shortest combination: d is 0, and the value that of the losses there.

    Args:
        c: radius of the ball about the mean, relative to its norm, ≥ 0; 0 is the mean itself.
        norm_eps: relative norm below which the point counts as Pareto stationary; ≥ 0.

    Attributes:
        weighting: torchjd's, from G to λ.
    """

    batchable: ClassVar[bool] = False
    uses_jacobian: ClassVar[bool] = True
    weighting: ClassVar[Any]

    c: float = 0.4
    norm_eps: float = 1e-4

    def __post_init__(self) -> None:
        check_number(self, "c", at_least=0)
        check_number(self, "norm_eps", at_least=0)
        aggregation = import_torchjd("torchjd.aggregation", "cagrad")
        object.__setattr__(self, "weighting", aggregation.CAGradWeighting(self.c, self.norm_eps))

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        products = gramian(jacobian())
        moved = products.diagonal() != 0
        if not moved.any():
            return torch.full_like(losses, 1 / len(losses)), state
        left = products[moved][:, moved]
        found = weigh(self.weighting, left, losses[moved])
        if not found.any():
            found = shortest(left).to(losses)
        # g₀ is the mean over all losses, whose gradients are 0 where they are left out.
        weights = torch.full_like(losses, 1 / len(losses))
        weights[moved] = found * len(found) / len(losses)
        return weights, state


def shortest(products: Tensor) -> Tensor:
    """Return the weights of the shortest combination; of very many losses as torchjd finds it, to three digits."""
    if len(products) <= MOST_LOSSES:
        return min_norm_weights(products)
    mgda = import_torchjd("torchjd.aggregation", "cagrad").MGDAWeighting()
    return weigh(mgda, products, products.diagonal())
