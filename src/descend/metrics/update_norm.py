"""The length of a step."""

from dataclasses import dataclass

from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation
from descend.vectors import norm


@dataclass(frozen=True)
class UpdateNorm(Metric):
    """‖Δx‖₂, ‖x‖₂ and their ratio, for all parameters together; no update, no values.

    A ratio near 1e-3 is the usual rule of thumb for networks; far above it training is erratic, far below it slow.
    """

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        size = norm(observation.params)
        if observation.update is None:
            return {"parameter/norm": size}
        length = norm(observation.update)
        return {"parameter/norm": size, "update/norm": length, "update/ratio": length / size}
