"""The angle between successive gradients."""

from dataclasses import dataclass

from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation
from descend.vectors import dot, norm, quotient


@dataclass(frozen=True)
class GradientCosine(Metric):
    """cos ∠(gₜ, gₜ₋₁) = ⟨gₜ, gₜ₋₁⟩ / (‖gₜ‖ ‖gₜ₋₁‖): near 1 the steps go one way, near −1 they zigzag.

    0 where a gradient is zero, as at the first step, which has no predecessor.
    """

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        product = dot(observation.gradients, observation.previous)
        lengths = norm(observation.gradients) * norm(observation.previous)
        return {"gradient/cosine": quotient(product, lengths)}
