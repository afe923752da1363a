"""Linear warm-up, then another schedule."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from descend.checks import check_number
from descend.scalars import ratio, real
from descend.schedules.constant import Constant
from descend.schedules.schedule import Schedule


@dataclass(frozen=True)
class Warmup(Schedule):
    """From `start` at the first step along a line to 1 at step `length`, where another schedule takes over.

    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour" (2017), section 2.2, gradual warm-up.

    Args:
        length: steps of the warm-up, ≥ 1.
        start: the factor at the first step, in [0, 1].
        then: the schedule of the steps that remain, which sees the first of them as its step 0.
    """

    length: int = 100
    start: float = 0.01
    then: Schedule = field(default_factory=Constant)

    def __post_init__(self) -> None:
        check_number(self, "length", at_least=1)
        check_number(self, "start", at_least=0, at_most=1)

    def factor(self, step: int | Tensor, steps: int) -> Tensor:
        now = real(step)
        rise = self.start + ratio((1 - self.start) * now, self.length)
        return torch.where(now < self.length, rise, self.then.factor(step - self.length, max(steps - self.length, 1)))
