"""Gives functions that draw random numbers the same numbers at every call, so that they can be audited."""

import torch
from torch import Tensor

from descend.audit.subspace import Function
from descend.graph.generators import seeded
from descend.types import Loss, Params

CALLS = 8
"""Calls at one point that must agree before a function counts as repeatable: small masks repeat by chance."""
SEED = 0


def drawn_alike(loss: Loss) -> Loss:
    """`loss` with the same random numbers at every call."""

    def alike(params: Params) -> Tensor:
        with seeded(SEED):
            return loss(params)

    return alike


def repeatable(function: Function, at: Tensor) -> bool:
    """Whether `function` gives the same value at every call."""
    values = [function(at.detach().requires_grad_()).detach() for _ in range(CALLS)]
    return all(torch.equal(value.nan_to_num(nan=0.125), values[0].nan_to_num(nan=0.125)) for value in values)
