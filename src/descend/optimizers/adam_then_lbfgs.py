"""Adam, then L-BFGS."""

import functools
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from descend.checks import check_number
from descend.optimizers.adam import Adam
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.torch_classes import MOST_ITERATIONS
from descend.optimizers.torch_optim import TorchOptim
from descend.types import Loss, Params, State

SCALE = 2.0**20
"""L-BFGS is given this many times the function. torch.optim.LBFGS learns no curvature from a step with yᵀs ≤ 1e-10, and
so stands still where losses of 1e-7 are still far from their minimum; a power of two rounds nothing."""


@dataclass(frozen=True)
class AdamThenLBFGS(Optimizer):
    """Adam for the first steps; from there torch's L-BFGS with a strong Wolfe line search.

    Adam finds a good region from a poor start; L-BFGS (Liu & Nocedal, Math. Program. 45, 1989; line search of Nocedal
    & Wright, "Numerical Optimization", section 3.5) then converges far faster on a function that does not change from
    step to step: the usual way to train physics-informed networks.

    Args:
        lr: Adam's learning rate, > 0; L-BFGS begins each line search at its own step, 1.
        adam_steps: steps of Adam, ≥ 0.
        max_iter: iterations of L-BFGS in one step, from 2 (1 leaves torch's line search no evaluation, and nothing
            moves) to 10,000. Each costs an evaluation or two, and each step two besides.
        history_size: pairs of differences that L-BFGS keeps, ≥ 1.
    """

    batchable: ClassVar[bool] = False

    adam_steps: int = 1000
    max_iter: int = 10
    history_size: int = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "adam_steps", at_least=0)
        check_number(self, "max_iter", at_least=2, at_most=MOST_ITERATIONS)
        check_number(self, "history_size", at_least=1)

    @property
    def line_search(self) -> bool:
        return True

    @property
    def seeds_itself(self) -> bool:
        return True

    @property
    def adam(self) -> Adam:
        return Adam(float(self.lr))  # a schedule makes a tensor of it

    @property
    def lbfgs(self) -> TorchOptim:
        return lbfgs(self.max_iter, self.history_size)

    def init(self, params: Params) -> State:
        return {"adam": self.adam.init(params), "lbfgs": self.lbfgs.init(params), "step": 0}

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        after = state | {"step": state["step"] + 1}
        if state["step"] < self.adam_steps:
            params, own = self.adam.step(params, gradients, state["adam"], loss)
            return params, after | {"adam": own}

        def scaled(params: Params) -> Tensor:
            return SCALE * loss(params)

        gradients = {name: SCALE * gradient for name, gradient in gradients.items()}
        params, own = self.lbfgs.step(params, gradients, state["lbfgs"], scaled)
        return params, after | {"lbfgs": own}


@functools.cache
def lbfgs(max_iter: int, history_size: int) -> TorchOptim:
    """Return the second phase, which ends no step by a tolerance: rules for stopping are the experiment's."""
    options = {"max_iter": max_iter, "history_size": history_size, "line_search_fn": "strong_wolfe"}
    return TorchOptim(lr=1.0, name="LBFGS", options=options | {"tolerance_grad": 0.0, "tolerance_change": 0.0})
