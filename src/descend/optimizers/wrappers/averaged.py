"""Averages of the weights over the steps, evaluated beside the weights."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.optimizers.wrappers.wrapper import Wrapper
from descend.scalars import cast, real
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class Averaged(Wrapper):
    """Any optimizer, and an average of its parameters that no step looks at.

    Test metrics are computed at both; those of the average have its name: `test/ema_accuracy`. A checkpoint leaves it,
    too: `descend.load(folder, "ema")`. A batch norm uses the run's own statistics at both points.

    Attributes:
        called: the name of the average.
    """

    called: ClassVar[str]

    @property
    def has_other_points(self) -> bool:
        return True

    def own(self, params: Params) -> dict[str, Any]:
        return {"average": {name: x.clone() for name, x in params.items()}, "step": 0.0, "taken": 0.0}

    @abstractmethod
    def weight(self, step: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weight in the average of the parameters after a step, and whether they count, 0 or 1; float64 [].

        Args:
            step: its number, from 1.
            taken: how many were counted before.
        """

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        new, inner = self.inner.step(params, gradients, state["inner"], loss)
        weight, counts = self.weight(real(state["step"] + 1), real(state["taken"]))
        average = {name: torch.lerp(x, new[name], cast(weight, x)) for name, x in state["average"].items()}
        count = {"step": state["step"] + 1, "taken": state["taken"] + counts}
        return new, {"inner": inner, "average": average, **count}

    def also_tested(self, params: Params, state: State) -> dict[str, Params]:
        return super().also_tested(params, state) | {self.called: state["average"]}
