"""More weight to the losses that fall more slowly (dynamic weight average)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.checks import check_number
from descend.scalars import cast
from descend.types import State


@dataclass(frozen=True)
class Dwa(Aggregator):
    """λ = m softmax(r/T), rᵢ = ratio of the mean of Lᵢ over the last window of steps to that over the one before.

    Liu, Johns & Davison, "End-To-End Multi-Task Learning With Attention" (CVPR 2019), equation 7, where a window is an
    epoch. The weights are 1 until two windows are over.

    Args:
        temperature: T > 0; the larger, the more even the weights. 2 in the paper.
        window: steps in a window, ≥ 1; the number of batches of an epoch, or 1 where every step sees the whole data.
    """

    temperature: float = 2.0
    window: int = 1

    def __post_init__(self) -> None:
        check_number(self, "temperature", above=0)
        check_number(self, "window", at_least=1)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        ones = torch.ones_like(losses)
        return {
            "step": torch.zeros_like(losses[0], dtype=torch.int64),
            "sum": torch.zeros_like(losses),
            "older": ones,
            "newer": ones.clone(),
        }

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        rates = state["newer"] / state["older"]
        weights = losses.shape[0] * (rates / cast(self.temperature, rates)).softmax(dim=0)
        step, total = state["step"] + 1, state["sum"] + losses
        average = total / self.window
        over = step % self.window == 0
        # After the first window both averages are its own: the ratio, and with it each weight, stays 1.
        before = torch.where(step == self.window, average, state["newer"])
        return weights, {
            "step": step,
            "sum": torch.where(over, torch.zeros_like(total), total),
            "older": torch.where(over, before, state["older"]),
            "newer": torch.where(over, average, state["newer"]),
        }
