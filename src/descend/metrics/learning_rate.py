"""The learning rate."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class LearningRate(Metric):
    """The learning rate of the step, after its schedule; that of each group, where groups have their own."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        like, lr = observation.weights, observation.lr
        own = {f"/{name}": x for name, x in lr.items()} if isinstance(lr, dict) else {"": lr}
        return {f"learning_rate{of}": torch.as_tensor(x, dtype=like.dtype, device=like.device) for of, x in own.items()}
