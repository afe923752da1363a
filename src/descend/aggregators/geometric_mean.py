"""The geometric mean of the losses."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.types import State


@dataclass(frozen=True)
class GeometricMean(Aggregator):
    """λᵢ = L̄ / (m Lᵢ) with L̄ = (Π Lᵢ)^(1/m), so that Jᵀλ is the gradient of L̄; a loss ≤ 0 makes the weights NaN.

    Chennupati et al., "MultiNet++: Multi-Stream Feature Aggregation and Geometric Loss Strategy for Multi-Task
    Learning" (CVPR Workshops 2019), equation 2.
    """

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        mean = losses.log().mean().exp()
        return mean / (losses.shape[0] * losses), state
