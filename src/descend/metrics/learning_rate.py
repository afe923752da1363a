"""The learning rate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class LearningRate(Metric):
    """The learning rate of the step, after its schedule."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        like = observation.weights
        return {"learning_rate": torch.as_tensor(observation.lr, dtype=like.dtype, device=like.device)}
