"""What each step does to each loss."""

from dataclasses import dataclass

from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class LossChange(Metric):
    """Lᵢ(xₜ) − Lᵢ(xₜ₋₁) of each loss, where there are several: below 0 where the last update lowered it.

    Each step's losses are those of its own batch, so that with minibatches the change of batch is in it. 0 at the first
    step of a run on the whole data.
    """

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        if len(observation.losses) == 1:
            return {}
        previous = observation.previous_losses
        return {f"loss_change/{name}": loss - previous[name] for name, loss in observation.losses.items()}
