"""SWA: stochastic weight averaging."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.optimizers.wrappers.averaged import Averaged


@dataclass(frozen=True)
class SWA(Averaged):
    """The mean of the parameters after steps s, s + k, s + 2k, …; before them x̄ = x.

    Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization" (UAI 2018), algorithm 1. The
    same as `torch.optim.swa_utils.AveragedModel`; give it a schedule that keeps the learning rate up.

    Args:
        start: s ≥ 1, the first step whose parameters count.
        every: k ≥ 1.
    """

    called: ClassVar[str] = "swa"

    start: int = 1000
    every: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "start", at_least=1)
        check_number(self, "every", at_least=1)

    def weight(self, step: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        since = step - self.start
        begun = (since >= 0).to(torch.float64)
        due = begun * (since % self.every == 0).to(torch.float64)
        return 1 - begun + due / (taken + 1), due
