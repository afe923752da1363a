"""New random weights at each step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.draws import uniform
from descend.checks import check_number
from descend.types import State


@dataclass(frozen=True)
class Random(Aggregator):
    """λ = softmax(ξ), ξᵢ ~ N(0, 1) drawn anew at each step.

    Lin et al., "Reasonable Effectiveness of Random Weighting: A Litmus Test for Multi-Task Learning" (TMLR 2022),
    Algorithm 2: the baseline that a method must beat.

    Args:
        seed: chooses the sequence of weights.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        check_number(self, "seed", at_least=0)

    def init(self, losses: Tensor, names: tuple[str, ...]) -> State:
        return {"step": torch.zeros_like(losses[0], dtype=torch.int64)}

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        normal = torch.special.ndtri(uniform(self.seed, state["step"], tuple(losses.shape)))
        return normal.softmax(dim=0).to(losses.dtype), {"step": state["step"] + 1}
