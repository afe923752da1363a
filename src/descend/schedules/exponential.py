"""Exponential decay."""

from dataclasses import dataclass

from torch import Tensor

from descend.checks import check_number
from descend.scalars import power, real
from descend.schedules.schedule import Schedule


@dataclass(frozen=True)
class Exponential(Schedule):
    """γᵗ.

    Args:
        gamma: γ > 0, the factor of one step.
    """

    gamma: float = 0.999

    def __post_init__(self) -> None:
        check_number(self, "gamma", above=0)

    def factor(self, step: int | Tensor, steps: int) -> Tensor:
        return power(self.gamma, real(step))
