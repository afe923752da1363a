"""What the aggregator makes of several losses."""

from dataclasses import dataclass

from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class WeightedLosses(Metric):
    """Each weight λᵢ and weighted loss λᵢ·lossᵢ, where there are several; the raw losses are always recorded.

    An aggregator that has a direction and no weights (GradDrop, TrimmedMean) shows 1: its total is the plain sum.
    """

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        if len(observation.losses) == 1:
            return {}
        weights = dict(zip(observation.losses, observation.weights.unbind(), strict=True))
        weighted = {f"weighted_loss/{name}": weights[name] * loss for name, loss in observation.losses.items()}
        return {f"weight/{name}": weight for name, weight in weights.items()} | weighted
