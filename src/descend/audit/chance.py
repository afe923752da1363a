"""Gives functions that draw random numbers the same numbers at every call, so that they can be audited."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from descend.audit.subspace import Function
from descend.types import Loss, Params

CALLS = 8
"""Calls at one point that must agree before a function counts as repeatable: small masks repeat by chance."""
SEED = 0


@contextmanager
def same_draws() -> Iterator[None]:
    """Begin the global generators of torch, NumPy and Python at a fixed seed, and restore them afterwards."""
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002, what users may draw from
    torch.default_generator.manual_seed(SEED)
    np.random.seed(SEED)  # noqa: NPY002
    random.seed(SEED)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        random.setstate(states[2])


def drawn_alike(loss: Loss) -> Loss:
    """`loss` with the same random numbers at every call."""

    def alike(params: Params) -> Tensor:
        with same_draws():
            return loss(params)

    return alike


def repeatable(function: Function, at: Tensor) -> bool:
    """Whether `function` gives the same value at every call."""
    values = [function(at.detach().requires_grad_()).detach() for _ in range(CALLS)]
    return all(torch.equal(value.nan_to_num(nan=0.125), values[0].nan_to_num(nan=0.125)) for value in values)
