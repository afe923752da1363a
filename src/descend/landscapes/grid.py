"""The loss at many points, a stack of points at a time."""

from collections.abc import Callable

import torch
from torch import Tensor

from descend.derivatives.flat import unravel
from descend.devices import is_failure
from descend.engine.backends.proof import agree
from descend.engine.backends.stacked import once
from descend.engine.program import MOST_ENTRIES_LAST, Recorded
from descend.graph.stack import runs_last
from descend.types import Loss, Params

STACK_BYTES = 2**24
"""The most bytes of intermediate results of one stack: more overflow a processor's cache, and are no faster."""

MOST_POINTS = 2048
"""The most points in one stack, however small their results are."""

Points = Callable[[int, int], Tensor]
"""(start, stop) -> the points of these places [k, n], in the dtype and on the device of the parameters."""


def heights(loss: Loss, like: Params, points: Points, count: int, progress: Callable[[int], None]) -> Tensor:
    """Return the loss at `count` points, float64 [count] on the CPU.

    The loss is recorded below autograd, as the engine records a step, and its graph is computed for a stack of points
    at a time. A loss that cannot be recorded (an `if` on a tensor, NumPy inside) is called point by point.

    Args:
        like: the parameters, for their names and shapes.
        points: returns the points.
        count: the number of points.
        progress: called after each stack with its number of points.
    """

    def value(point: Tensor) -> Tensor:
        return loss(unravel(point, like))

    found = []
    with torch.no_grad():
        recorded = recorded_faithfully(value, points(0, 1)[0], points(count - 1, count)[0])
        size = 1 if recorded is None else max(1, min(MOST_POINTS, STACK_BYTES // recorded.bytes))
        for start in range(0, count, size):
            stack = points(start, min(start + size, count))
            found.append(value(stack[0])[None] if recorded is None else stacked_values(recorded, stack))
            progress(len(stack))
    return torch.cat(found).double().cpu()


def stacked_values(recorded: Recorded, stack: Tensor) -> Tensor:
    """Return the values [k] of a recorded function of one point at each point of a stack [k, n]."""
    [values] = once(recorded, runs_last(recorded.graph, MOST_ENTRIES_LAST), [stack])
    return values


def recorded_faithfully(value: Callable[[Tensor], Tensor], first: Tensor, second: Tensor) -> Recorded | None:
    """Return a function recorded at one point; None unless its graph agrees with it at a second point."""
    try:
        recorded = Recorded(value, (first,), [True])
        found = stacked_values(recorded, second[None])[0]
    except Exception as error:  # a user's own code may raise anything while it is recorded
        if is_failure(error):
            raise
        return None
    return recorded if agree(found, value(second), value(first)) else None
