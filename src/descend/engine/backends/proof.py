"""Whether a recording does what it records: what passes through NumPy or Python is recorded as a constant."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from descend.devices import is_failure
from descend.engine.block import take
from descend.engine.own import alike, own_alone, users_metrics
from descend.engine.program import Program, seen
from descend.engine.repeats import elsewhere, point_of, tried
from descend.engine.step import Carry, Origin, uncounted
from descend.errors import Untraceable
from descend.graph.code import python_function
from descend.graph.trace import tensors
from descend.types import Batch

SHARE = 0.01
"""A recorded step may differ from the step by this share of how far the result moved; a constant does by all of it."""


def check_faithful(program: Program, origin: Origin, batch: Batch) -> None:
    """Compare the recorded step with the step itself at a second point.

    Raises:
        Untraceable: they differ.
    """
    if own_alone(program.experiment):
        return
    try:
        carry: Carry = program.start(program.numbers, elsewhere(origin))
        found = [carry_after(program, begun, batch) for begun in (program.first.found, carry)]
        own = tensors(take(program.experiment, carry, [batch], ((),), uncounted)[0])
    except Exception as error:  # a user's own code may raise anything where it was not asked to go
        if is_failure(error):
            raise
        raise Untraceable(f"it raised {type(error).__name__} at a second point: {error}") from error
    for here, there, right in zip(found[0], found[1], own, strict=True):
        if not agree(there, right, here):
            raise Untraceable("its values pass through NumPy or Python, or chance, where recording cannot follow")


def find_hosted(program: Program, origin: Origin, batch: Batch) -> None:
    """Find the metrics of the user's own whose recording differs from what they are; those will be called instead."""
    own = users_metrics(program.experiment)
    if not own:
        return
    with torch.no_grad():
        point = point_of(program.experiment, elsewhere(origin), batch)
        for name in own:
            right = tried(partial(seen, program.experiment, program.names, (name,), *point))
            found = tried(partial(recorded_look, program, name, point))
            if right is None or found is None or not alike([*found.values()], [right[key] for key in found]):
                program.hosted.add(name)


def recorded_look(program: Program, name: str, point: Sequence[Any]) -> dict[str, Tensor]:
    """Return what the recording of a metric finds; `point` is what `Program.look` takes behind the numbers."""
    recorded = program.look((name,))
    flat = python_function(recorded.graph)(*program.numbers.values(), *tensors(point))
    found: dict[str, Tensor] = recorded.tree(flat)
    return found


def carry_after(program: Program, carry: Carry, batch: Batch) -> Sequence[Tensor]:
    """Return the carry after one recorded step from another."""
    with torch.no_grad():
        step = python_function(program.step(()).graph)
        return step(*program.numbers.values(), *tensors(carry), *tensors(batch))[: program.kept]


def agree(found: Tensor, right: Tensor, before: Tensor) -> bool:
    """Tell whether two results agree, measured by how far the right one moved from that at the first point."""
    if not found.is_floating_point():
        return bool((found == right).all())
    scale = (right - before).abs().nan_to_num().amax() * SHARE if right.numel() else 0
    rounding = 1e3 * torch.finfo(right.dtype).eps * right.abs().nan_to_num().amax() if right.numel() else 0
    same = (found - right).abs() <= scale + rounding
    return bool((same | (found == right) | (found.isnan() & right.isnan())).all())
