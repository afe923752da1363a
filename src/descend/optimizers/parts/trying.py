"""The contract of methods that try a point at each step, and take or leave it at the next."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.derivatives.flat import ravel, unravel
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.parts.few import require_few
from descend.types import Params, State


@dataclass(frozen=True)
class Trying(Optimizer):
    """The parameters are a trial point: a step sees the value and the gradient there and returns the next trial.

    So a search is flattened into the steps of a run: each step costs one evaluation, whatever it decides, and runs
    stack. It is for one function, not for batches, which change it from step to step.

    Its state has the point it stands at as `standing`, [n], with the value `level` and the gradient's length `slope`
    there, [] each.

    Attributes:
        matrix: what a method with a matrix of all parameters does with it, and what to use instead where they are too
            many for one; None of others.
    """

    matrix: ClassVar[tuple[str, str] | None] = None

    def before_first_point(self, params: Params) -> State:
        """Return where a run stands before its first point is seen.

        Raises:
            ConfigurationError: the parameters are too many for the method's matrix.
        """
        if self.matrix is not None:
            require_few(self, params, *self.matrix)
        point = ravel(params).clone()
        infinite = torch.full_like(point[0], torch.inf)
        return {"standing": point, "level": infinite, "slope": infinite.clone()}

    @property
    def line_search(self) -> bool:
        return True

    @property
    def has_other_points(self) -> bool:
        return True

    @property
    def tries_points(self) -> bool:
        return True

    def reported(self, params: Params, state: State) -> Params:
        return unravel(state["standing"], params)

    def reported_values(self, state: State) -> tuple[Tensor, Tensor]:
        return state["level"], state["slope"]
