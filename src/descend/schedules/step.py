"""Step decay."""

from dataclasses import dataclass

from torch import Tensor

from descend.checks import check_number
from descend.scalars import power, real
from descend.schedules.schedule import Schedule


@dataclass(frozen=True)
class Step(Schedule):
    """γ^⌊t / every⌋.

    Args:
        every: steps between two decays, ≥ 1.
        gamma: γ > 0, the factor of one decay.
    """

    every: int = 1000
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "every", at_least=1)
        check_number(self, "gamma", above=0)

    def factor(self, step: int | Tensor, steps: int) -> Tensor:
        return power(self.gamma, real(step // self.every))
