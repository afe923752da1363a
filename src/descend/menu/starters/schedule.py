"""A schedule: a factor on the learning rate. Change the formula and the fields."""

from dataclasses import dataclass

from torch import Tensor

from descend.checks import check_number
from descend.scalars import ratio, real
from descend.schedules.schedule import Schedule


@dataclass(frozen=True)
class NewSchedule(Schedule):
    """1 / (1 + decay · t) at step t.

    Args:
        decay: ≥ 0.
    """

    decay: float = 0.01

    def __post_init__(self) -> None:
        check_number(self, "decay", at_least=0)

    # The factor at `step` of `steps`, between 0 and 1; the optimizer's lr is the highest rate. `step` is a number or a
    # tensor, so there is no `if` on it. `ratio` and `real` (descend/scalars.py) give both the same rounding.
    def factor(self, step: int | Tensor, steps: int) -> Tensor:
        return ratio(1, 1 + self.decay * real(step))
