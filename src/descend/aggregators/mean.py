"""The mean of the losses."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.types import State


@dataclass(frozen=True)
class Mean(Aggregator):
    """λ = (1/m, …, 1/m)."""

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        return torch.full_like(losses, 1 / losses.shape[0]), state
