"""Weights that are learned along with the parameters, by an Adam of their own."""

from torch import Tensor

from descend.optimizers.adam import Adam
from descend.types import State


def adam_state(values: Tensor) -> State:
    """Return Adam's state before its first step on a vector."""
    return Adam().init({"values": values})


def learn(
    values: Tensor, gradient: Tensor, state: State, lr: float | Tensor, weight_decay: float | Tensor = 0.0
) -> tuple[Tensor, State]:
    """Return the vector after one step of Adam along its gradient, and Adam's new state."""
    adam = Adam()
    # A stacked sweep holds tensors here, which the constructor's checks of a single run would refuse.
    object.__setattr__(adam, "lr", lr)
    object.__setattr__(adam, "weight_decay", weight_decay)
    params, state = adam.step({"values": values}, {"values": gradient}, state, lambda params: values.sum())
    return params["values"], state
