"""One cycle."""

from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.scalars import ratio, real
from descend.schedules.cosine import anneal
from descend.schedules.schedule import Schedule


@dataclass(frozen=True)
class OneCycle(Schedule):
    """From 1/div_factor up to 1, then down to 1/(div_factor · final_div_factor), each along half a cosine.

    The optimizer's learning rate is the highest one. Smith & Topin, "Super-Convergence: Very Fast Training of Neural
    Networks Using Large Learning Rates" (2017), with cosines in place of lines and the momentum left alone.

    Args:
        pct_start: the part of the run that rises, in [0, 1).
        div_factor: the highest learning rate over the first, ≥ 1.
        final_div_factor: the first learning rate over the last, ≥ 1.
    """

    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    def __post_init__(self) -> None:
        check_number(self, "pct_start", at_least=0, below=1)
        check_number(self, "div_factor", at_least=1)
        check_number(self, "final_div_factor", at_least=1)

    def factor(self, step: int | Tensor, steps: int) -> Tensor:
        peak = self.pct_start * steps - 1
        first, last = ratio(1, self.div_factor), ratio(1, self.div_factor * self.final_div_factor)
        now = real(step)
        rise, fall = anneal(first, 1.0, ratio(now, peak)), anneal(1.0, last, ratio(now - peak, steps - 1 - peak))
        return torch.where(now < peak, rise, fall)
