"""Cosine annealing."""

import math
from dataclasses import dataclass

from torch import Tensor

from descend.checks import check_number
from descend.scalars import Scalar, cosine, ratio
from descend.schedules.schedule import Schedule


@dataclass(frozen=True)
class Cosine(Schedule):
    """From 1 at the first step along half a cosine towards `minimum`, reached where the run ends.

    Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts" (ICLR 2017), equation 5, one period.

    Args:
        minimum: the factor at the end, in [0, 1].
    """

    minimum: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "minimum", at_least=0, at_most=1)

    def factor(self, step: int | Tensor, steps: int) -> Tensor:
        return anneal(1.0, self.minimum, ratio(step, steps))


def anneal(start: Scalar, end: Scalar, progress: Scalar) -> Tensor:
    """From `start` at progress 0 to `end` at progress 1 along half a cosine."""
    return end + (start - end) * (1 + cosine(math.pi * progress)) / 2
