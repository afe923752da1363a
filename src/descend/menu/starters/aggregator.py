"""An aggregator: how several losses become one. Change the weights and the fields."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.checks import check_number
from descend.scalars import cast
from descend.types import State


@dataclass(frozen=True)
class NewAggregator(Aggregator):
    """λ = m · softmax(losses / temperature): the larger of the m losses weigh more.

    Args:
        temperature: > 0; the larger it is, the more the weights are alike.
    """

    # True where `weights` calls `jacobian`, which costs a gradient of each loss.
    uses_jacobian: ClassVar[bool] = False

    temperature: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "temperature", above=0)

    # losses: [m]; jacobian(): their gradients, [m, n]. Return the weights, [m], and the state. A method that remembers
    # something overrides `init(losses, names)`, which returns the first state, and returns a new one here.
    # Use tensor operations alone: no `if` on a tensor, no `.item()`, and change no tensor in place.
    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        return losses.shape[0] * torch.softmax(losses / cast(self.temperature, losses), 0), state
