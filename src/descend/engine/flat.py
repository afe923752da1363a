"""The parameters laid end to end, for optimizers that treat every entry alike: one operation in place of many.

A network has dozens of parameters. A rule that looks at each entry by itself gives the same numbers, to the bit,
whether it is given them one by one or all in one vector; but one operation costs less than dozens. Groups of parameters
have a vector each.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from descend.optimizers.groups import Groups
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params, State

LEAST_ENTRIES = 64
"""Fewer entries are left as they are: kernels, and stacks whose run axis is the last, take them one by one."""

ALIGNED = 64
"""Bytes at whose multiples each parameter begins, as if it had memory of its own: matrix products round by that."""

VECTOR = "vector"


class VectorLayout(NamedTuple):
    """Where each parameter lies in the vector.

    Attributes:
        params: what is laid out; shapes, dtype and device count.
        places: where each begins, and where the last ends.
    """

    params: Params
    places: list[int]

    @classmethod
    def of(cls, params: Params) -> "VectorLayout":
        """Lay parameters of one dtype out."""
        places = [0]
        for x in params.values():
            unit = max(1, ALIGNED // x.element_size())
            places.append(places[-1] + -(-x.numel() // unit) * unit)
        return cls(params, places)

    def joined(self, values: Mapping[str, Tensor]) -> Tensor:
        """Return values, shaped like the parameters, as a vector [places[-1]] with zeros between them."""
        parts = []
        for (name, x), (begin, end) in zip(self.params.items(), pairwise(self.places), strict=True):
            parts.append(values[name].reshape(-1))
            if end - begin > x.numel():
                parts.append(x.new_zeros(end - begin - x.numel()))
        return torch.cat(parts)

    def split(self, vector: Tensor) -> Params:
        """Return the parameters that a vector [places[-1]] holds, as views of it."""
        named = zip(self.params.items(), self.places, strict=False)
        return {name: vector.narrow(0, at, x.numel()).view(x.shape) for (name, x), at in named}


def takes_vector(optimizer: Optimizer, params: Params) -> bool:
    """Tell whether an optimizer is given these parameters as one vector."""
    alike = len({(x.dtype, x.device) for x in params.values()}) == 1
    entries = sum(x.numel() for x in params.values())
    own = vars(type(optimizer)).get("entrywise", False)  # a class made of another may do what that does not
    return own and len(params) > 1 and alike and entries > LEAST_ENTRIES


def begin_state(optimizer: Optimizer, params: Params, seed: int) -> State:
    """Return an optimizer's state before the first step; where it takes a vector, that holds the vector, too."""
    if isinstance(optimizer, Groups):
        return optimizer.begin_each(params, seed, begin_state)
    if not takes_vector(optimizer, params):
        return optimizer.begin(params, seed)
    vector = VectorLayout.of(params).joined(params)
    return {VECTOR: vector, "state": optimizer.begin({VECTOR: vector}, seed)}


def make_update(
    optimizer: Optimizer, params: Params, gradients: Params, state: State, loss: Loss
) -> tuple[Params, State]:
    """Make a step of the optimizer whose state `begin_state` gave."""
    if isinstance(optimizer, Groups):
        return optimizer.update(params, gradients, state, loss, make_update)
    if not takes_vector(optimizer, params):
        return optimizer.step(params, gradients, state, loss)
    layout = VectorLayout.of(params)
    found, own = optimizer.step({VECTOR: state[VECTOR]}, {VECTOR: layout.joined(gradients)}, state["state"], loss)
    vector = found[VECTOR].to(state[VECTOR].dtype)
    return layout.split(vector), {VECTOR: vector, "state": own}


def point_reported(optimizer: Optimizer, params: Params, state: State) -> Params:
    """Return the point that a run is judged by, from a state that `begin_state` or `make_update` gave."""
    if not optimizer.has_other_points:
        return params
    if isinstance(optimizer, Groups):
        return optimizer.found(params, state, point_reported)
    if not takes_vector(optimizer, params):
        return optimizer.reported(params, state)
    layout = VectorLayout.of(params)
    return layout.split(optimizer.reported({VECTOR: layout.joined(params)}, state["state"])[VECTOR])
