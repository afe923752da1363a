"""Rprop: resilient backpropagation."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_pair, check_value
from descend.optimizers.arithmetic import scaled
from descend.optimizers.optimizer import Optimizer
from descend.scalars import cast
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Rprop(Optimizer):
    """x ← x − sign(g) · Δ, each Δ multiplied by η⁺ while its gradient keeps its sign and by η⁻ where the sign turned.

    Where it turned, that entry's gradient counts as 0 in this step and the next. For the whole data, not for batches.

    Riedmiller & Braun, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm" (IEEE
    ICNN 1993), without its weight-backtracking (the variant named iRprop− by Igel & Hüsken, 2000).

    Args:
        lr: Δ before the first step, > 0; a schedule has no effect on this method.
        etas: η⁻ in (0, 1) and η⁺ > 1.
        step_sizes: smallest and largest Δ, in rising order, > 0.
    """

    entrywise: ClassVar[bool] = True

    lr: float = 1e-2
    etas: tuple[float, float] = (0.5, 1.2)
    step_sizes: tuple[float, float] = (1e-6, 50.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_pair(self, "etas", above=0)
        check_value("Rprop.etas[0]", self.etas[0], below=1)
        check_value("Rprop.etas[1]", self.etas[1], above=1)
        check_pair(self, "step_sizes", above=0)
        check_value("Rprop.step_sizes[1]", self.step_sizes[1], at_least=self.step_sizes[0])

    def init(self, params: Params) -> State:
        return {
            "previous": {name: torch.zeros_like(x) for name, x in params.items()},
            "size": {name: torch.zeros_like(x) + cast(self.lr, x) for name, x in params.items()},
        }

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        shrink, grow = self.etas
        smallest, largest = self.step_sizes
        new, previous, size = {}, {}, {}
        for name, x in params.items():
            g, old = gradients[name], state["size"][name]
            agreement = g * state["previous"][name]
            turned = torch.where(agreement < 0, scaled(old, shrink), old)
            wanted = torch.where(agreement > 0, scaled(old, grow), turned)
            size[name] = wanted.clamp(min=cast(smallest, x)).clamp(max=cast(largest, x))
            previous[name] = torch.where(agreement < 0, 0, g)
            new[name] = x.addcmul(previous[name].sign(), size[name], value=-1)
        return new, {"previous": previous, "size": size}
