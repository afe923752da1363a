"""The distribution of parameters, gradients and updates."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.metrics.metric import Metric
from descend.types import Observation, Params


def histogram(x: Tensor, bins: int) -> Tensor:
    """Return the right edges and counts of equal bins between the extremes of `x`, shape [2, bins], dtype of `x`.

    Values that are not finite are left out; the range around a constant c is c ± max(|c|, 1) / 2.
    `torch.histc` raises on NaN and cannot be vmapped. Halves are subtracted so that no range overflows.
    """
    x = x.flatten()
    finite = x.isfinite()
    low = torch.where(finite, x, torch.inf).amin()
    high = torch.where(finite, x, -torch.inf).amax()
    empty = low > high
    low, high = torch.where(empty, 0, low), torch.where(empty, 0, high)
    widening = torch.where(low == high, (low.abs() / 2).clamp(min=0.5), 0)
    low, high = low - widening, high + widening
    position = (x / 2 - low / 2) / (high / 2 - low / 2) * bins
    place = torch.where(finite, position, 0).to(torch.int64).clamp(0, bins - 1)
    counts = torch.zeros(bins, dtype=x.dtype, device=x.device).scatter_add(0, place, finite.to(x.dtype))
    fraction = torch.arange(1, bins + 1, dtype=x.dtype, device=x.device) / bins
    return torch.stack([low * (1 - fraction) + high * fraction, counts])


MOST_BINS = 100_000
"""More than any picture shows; each is kept at each look."""


@dataclass(frozen=True)
class Histogram(Metric):
    """A histogram of each parameter tensor.

    Args:
        bins: number of equal bins between a tensor's smallest and largest value, from 1 to 100,000.
    """

    arrays: ClassVar[bool] = True

    bins: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "bins", at_least=1, at_most=MOST_BINS)

    def of(self, group: str, tensors: Params) -> dict[str, Tensor]:
        """Return the histograms as `group/histogram/<parameter>`."""
        return {f"{group}/histogram/{name}": histogram(x, self.bins) for name, x in tensors.items()}


class ParameterHistogram(Histogram):
    """How the values of each parameter tensor are distributed."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return self.of("parameter", observation.params)


class GradientHistogram(Histogram):
    """How the gradient of each parameter tensor is distributed."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return self.of("gradient", observation.gradients)


class UpdateHistogram(Histogram):
    """How the update of each parameter tensor is distributed; no update, no histogram."""

    def __call__(self, observation: Observation) -> dict[str, Tensor]:
        return {} if observation.update is None else self.of("update", observation.update)
