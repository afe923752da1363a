"""Schedule-free SGD."""

from dataclasses import dataclass
from typing import ClassVar

from descend.checks import check_number
from descend.optimizers.schedule_free import ScheduleFree
from descend.optimizers.weight_decay import penalised
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class ScheduleFreeSGD(ScheduleFree):
    """z ← z − γ(g + λy), x ← (1 − c) x + c z, y ← (1 − β) z + β x; g is the gradient at y, c as in `ScheduleFree`.

    Defazio et al., "The Road Less Scheduled" (NeurIPS 2024), equations 3 to 5; β = 0 is Polyak-Ruppert averaging, and
    β = 1 primal averaging. The learning rate needs no decay. The defaults are those of the authors' code,
    facebookresearch/schedule_free, with r = 0.

    Args:
        lr: learning rate γ, > 0; its decay is not needed, a warm-up may be.
        momentum: β in [0, 1].
        weight_decay: λ ≥ 0.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1.0
    momentum: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "momentum", at_least=0, at_most=1)

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        return self.moved(penalised(gradients, params, self.weight_decay), state, self.momentum)
