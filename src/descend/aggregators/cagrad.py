"""The best worst case near the mean of the gradients (CAGrad), solved through torchjd."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.gramian import gramian
from descend.aggregators.torchjd_extra import import_torchjd, weigh
from descend.checks import check_number
from descend.types import State


@dataclass(frozen=True)
class CAGrad(Aggregator):
    """Jᵀλ = argmax over d of minᵢ gᵢ·d with ‖d − g₀‖ ≤ c‖g₀‖, where g₀ is the mean of the gradients.

    Liu et al., "Conflict-Averse Gradient Descent for Multi-task Learning" (NeurIPS 2021), Algorithm 1.

    Args:
        c: radius of the ball about the mean, relative to its norm, ≥ 0; 0 is the mean itself.
        norm_eps: relative norm below which the point counts as stationary and the weights are 0; ≥ 0.

    Attributes:
        weighting: torchjd's, from G to λ.
    """

    batchable: ClassVar[bool] = False
    uses_jacobian: ClassVar[bool] = True
    weighting: ClassVar[Any]

    c: float = 0.4
    norm_eps: float = 1e-4

    def __post_init__(self) -> None:
        check_number(self, "c", at_least=0)
        check_number(self, "norm_eps", at_least=0)
        aggregation = import_torchjd("torchjd.aggregation", "cagrad")
        object.__setattr__(self, "weighting", aggregation.CAGradWeighting(self.c, self.norm_eps))

    def weights(self, losses: Tensor, jacobian: Callable[[], Tensor], state: State) -> tuple[Tensor, State]:
        return weigh(self.weighting, gramian(jacobian()), losses), state
