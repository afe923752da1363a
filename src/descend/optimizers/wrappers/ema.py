"""EMA: an exponential moving average of the weights."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.optimizers.wrappers.averaged import Averaged


@dataclass(frozen=True)
class EMA(Averaged):
    """x̄ ← d x̄ + (1 − d) x after each step, from x̄ = x after the first.

    Polyak & Juditsky, "Acceleration of stochastic approximation by averaging" (1992), with geometric weights, as in
    Tarvainen & Valpola, "Mean teachers are better role models" (NeurIPS 2017). The same as
    `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn(d)`.

    Args:
        decay: d in [0, 1).
    """

    called: ClassVar[str] = "ema"

    decay: float = 0.999

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "decay", at_least=0, below=1)

    def weight(self, step: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        return 1 - self.decay * (taken > 0).to(torch.float64), torch.ones_like(taken)
