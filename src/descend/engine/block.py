"""A block of steps: the unit that is run eagerly, replayed, stacked over runs, or compiled."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from descend.engine.experiment import Experiment
from descend.engine.step import Carry, advance, observe
from descend.types import Batch, Loss, Observation
from descend.vectors import norm

# Steps in one compiled program: fewer pay Python's call too often, more compile for longer and gain little.
STEPS = 8

# So many steps by torch take as long as the compiling of a kernel for them.
STEPS_OF_A_KERNEL = 500

Due = tuple[tuple[str, ...], ...]
"""For each step of a block, the names of the metrics due at it."""


class Block(NamedTuple):
    """What k steps found, on the device.

    Attributes:
        values: the raw losses, shape [k, m].
        weights: the aggregator's weights, [k, m].
        norms: ‖gradient‖₂ of the total, [k]; None where no stopping rule asks for it.
        observed: for each step of the block at which metrics were due, their values by name.
        always: values that every step has, by name, [k, …]; where a compiled block has the metrics due at every step.
    """

    values: Tensor
    weights: Tensor
    norms: Tensor | None
    observed: dict[int, dict[str, Tensor]]
    always: dict[str, Tensor]


def due(experiment: Experiment, step: int, size: int) -> Due:
    """Return which metrics are due at each of `size` steps from `step` on."""
    found: list[tuple[str, ...]] = [()] * size
    for name, metric in experiment.metrics.items():
        for i in range(-step % metric.every, size, metric.every):
            found[i] += (name,)
    return tuple(found)


def often(experiment: Experiment, stride: int = 1) -> frozenset[tuple[str, ...]]:
    """Return which metrics are due together at so many steps that a kernel for such steps pays, or at the most.

    Args:
        stride: only at every so many steps are metrics computed at all.
    """
    period = math.lcm(stride, *(metric.every for metric in experiment.metrics.values()))
    looked_at = min(period, max(experiment.steps, 1))
    every = due(experiment, 0, looked_at)
    found = Counter(names if step % stride == 0 else () for step, names in enumerate(every))
    [(most, _)] = found.most_common(1)
    return frozenset(
        {n for n, count in found.items() if count * experiment.steps >= STEPS_OF_A_KERNEL * looked_at} | {most}
    )


def take(
    experiment: Experiment, carry: Carry, batches: Sequence[Batch], metrics_due: Due, count: Callable[[Loss], Loss]
) -> tuple[Carry, Block]:
    """Make one step for each batch; pure, so that the same block can be taken again from the same carry."""
    values, weights, norms = [], [], []
    observed: dict[int, dict[str, Tensor]] = {}
    with torch.no_grad():
        for i, batch in enumerate(batches):
            before = carry
            jacobian = any(experiment.metrics[name].uses_jacobian for name in metrics_due[i])
            carry, taken = advance(experiment, before, batch, count, jacobian)
            values.append(taken.values)
            weights.append(taken.weights)
            if experiment.stop.gradient_norm is not None:
                norms.append(norm(taken.gradients))
            if metrics_due[i]:
                observation = observe(experiment, before, taken, carry, batch)
                observed[i] = measure(experiment, metrics_due[i], observation)
        length = torch.stack(norms) if norms else None
        return carry, Block(torch.stack(values), torch.stack(weights), length, observed, {})


def measure(experiment: Experiment, names: Iterable[str], observation: Observation) -> dict[str, Tensor]:
    """Return the values of the metrics of these names, together."""
    values: dict[str, Tensor] = {}
    for name in names:
        values |= experiment.metrics[name](observation)
    return values


def join(blocks: Sequence[Block]) -> Block:
    """Return consecutive blocks as one."""
    if len(blocks) == 1:
        return blocks[0]
    observed: dict[int, dict[str, Tensor]] = {}
    norms = [block.norms for block in blocks if block.norms is not None]
    offset = 0
    for block in blocks:
        for i in range(len(block.values)):
            found = {name: x[i] for name, x in block.always.items()} | block.observed.get(i, {})
            observed |= {offset + i: found} if found else {}
        offset += len(block.values)
    return Block(
        values=torch.cat([block.values for block in blocks]),
        weights=torch.cat([block.weights for block in blocks]),
        norms=torch.cat(norms) if norms else None,
        observed=observed,
        always={},
    )
