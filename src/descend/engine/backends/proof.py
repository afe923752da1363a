"""Whether a recorded step does what the step does: what passes through NumPy or Python is recorded as a constant."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from descend.devices import is_failure
from descend.engine.block import take
from descend.engine.experiment import Experiment
from descend.engine.program import Program
from descend.engine.step import Carry, Origin, uncounted
from descend.errors import Untraceable
from descend.graph.code import python_function
from descend.graph.trace import tensors
from descend.types import Batch

TRUSTED = ("descend", "torch", "builtins", "numpy")
"""Packages whose own parts are not tried: descend's contracts are tested, and the others hold data."""

SHARE = 0.01
"""A recorded step may differ from the step by this share of how far the result moved; a constant does by all of it."""


def check_faithful(program: Program, origin: Origin, batch: Batch) -> None:
    """Compare the recorded step with the step itself at a second point.

    Raises:
        Untraceable: they differ.
    """
    if own_alone(program.experiment):
        return
    moved = origin._replace(params={name: x * 1.0625 + 0.03125 for name, x in origin.params.items()})
    numbers, experiment = program.numbers, program.experiment
    try:
        found = [carry_after(program, start, batch) for start in (origin, moved)]
        carry = program.start(numbers, moved)
        own = tensors(take(experiment, carry, [batch], ((),), uncounted)[0])
    except Exception as error:  # a user's own code may raise anything where it was not asked to go
        if is_failure(error):
            raise
        raise Untraceable(f"it raised {type(error).__name__} at a second point: {error}") from error
    for here, there, right in zip(found[0], found[1], own, strict=True):
        if not agree(there, right, here):
            raise Untraceable("its values pass through NumPy or Python, or chance, where recording cannot follow")


def own_alone(experiment: Experiment) -> bool:
    """Tell whether all of an experiment is descend's own, whose contracts are tested."""
    parts = [experiment.objective, experiment.optimizer, experiment.aggregator, experiment.schedule, experiment.clip]
    return all(module_of(x).split(".")[0] in TRUSTED for part in parts for x in parts_within(part))


def parts_within(part: Any) -> Iterator[Any]:
    """Return a part, what it keeps, and what that keeps, tensors and plain values included."""
    yield part
    kept = part.values() if isinstance(part, dict) else part if isinstance(part, list | tuple) else ()
    if dataclasses.is_dataclass(part):
        kept = vars(part).values()
    for x in kept:
        yield from parts_within(x)


def module_of(x: Any) -> str:
    """Return the module of a function, or of a value's class."""
    return str(getattr(x, "__module__", None) or type(x).__module__)


def carry_after(program: Program, origin: Origin, batch: Batch) -> Sequence[Tensor]:
    """Return the carry after one recorded step from `origin`."""
    carry: Carry = program.start(program.numbers, origin)
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
