"""The contract of methods that try a point at each step, and take or leave it at the next."""

from dataclasses import dataclass

from torch import Tensor

from descend.derivatives.flat import unravel
from descend.optimizers.optimizer import Optimizer
from descend.types import Params, State


@dataclass(frozen=True)
class Trying(Optimizer):
    """The parameters are a trial point: a step sees the value and the gradient there and returns the next trial.

    So a search is flattened into the steps of a run: each step costs one evaluation, whatever it decides, and runs
    stack. It is for one function, not for batches, which change it from step to step.

    Its state has the point it stands at as `standing`, [n], with the value `level` and the gradient's length `slope`
    there, [] each.
    """

    @property
    def line_search(self) -> bool:
        return True

    @property
    def elsewhere(self) -> bool:
        return True

    @property
    def tries(self) -> bool:
        return True

    def reported(self, params: Params, state: State) -> Params:
        return unravel(state["standing"], params)

    def judged(self, state: State) -> tuple[Tensor, Tensor]:
        return state["level"], state["slope"]
