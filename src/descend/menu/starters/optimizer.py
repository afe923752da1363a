"""An optimizer: one update of the parameters. Change the formula, the state and the fields."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from descend.checks import check_number
from descend.optimizers.arithmetic import add_scaled, moving_average
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params, State


@dataclass(frozen=True)
class NewOptimizer(Optimizer):
    """m ← βm + (1−β)g, x ← x − lr · m: gradient descent along an average of the gradients.

    Args:
        lr: learning rate, > 0.
        beta: β in [0, 1), how much of the average is kept.
    """

    # True where the new value of an entry depends on that entry alone. False for norms, matrices, calls of `loss`.
    entrywise: ClassVar[bool] = True

    # A sweep stacks runs that differ in a field annotated `float`; `step` then gets tensors of shape [] there.
    lr: float = 0.05
    beta: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()  # checks lr
        check_number(self, "beta", at_least=0, below=1)

    # What the optimizer remembers: nested dicts of tensors and Python floats. `step` returns the same structure.
    def init(self, params: Params) -> State:
        return {"average": {name: torch.zeros_like(x) for name, x in params.items()}}

    # Return new tensors and change none in place. Use tensor operations alone: no `if` on a number, no `.item()`.
    # The functions of `optimizers/arithmetic.py` round a number the same as a Python float and as a tensor.
    # `loss(params)` gives the loss at other parameters, for line searches and curvature.
    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        average = {name: moving_average(state["average"][name], g, self.beta) for name, g in gradients.items()}
        return {name: add_scaled(x, average[name], -self.lr) for name, x in params.items()}, {"average": average}
