"""The schedule that changes nothing."""

from dataclasses import dataclass

from torch import Tensor

from descend.schedules.schedule import Schedule


@dataclass(frozen=True)
class Constant(Schedule):
    """Factor 1 at every step."""

    def factor(self, step: int | Tensor, steps: int) -> float | Tensor:
        return 1.0
