"""A metric: numbers that are recorded while a run goes. Change what is computed, and its name."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.metrics.metric import Metric
from descend.types import Observation


@dataclass(frozen=True)
class NewMetric(Metric):
    """maxᵢ |gᵢ|, the largest entry of the gradient. `every` is inherited: the steps between two values."""

    # An observation has step, params, losses, weights, gradients, update (None at the end), lr and more: see
    # `Observation` in descend/types.py. Return tensors of shape [] by name; TensorBoard groups names by their first
    # part. Use tensor operations alone: no `if` on a tensor, no `.item()`, and change no tensor in place.
    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        largest = [g.abs().amax() for g in observation.gradients.values()]
        return {"gradient/largest": torch.stack(largest).amax()}
