"""Steps made by calling an experiment's parts: what is recorded, and what is run where nothing can be recorded."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from descend.engine.experiment import Experiment
from descend.engine.step import Carry, advance, look_chance, observe, stopping_values
from descend.types import Batch, Loss, Observation

Due = tuple[tuple[str, ...], ...]
"""For each step of a block, the names of the metrics due at it."""


class Block(NamedTuple):
    """What k steps found.

    Attributes:
        totals: weights · losses at each step, [k].
        values, weights: the raw losses and the aggregator's weights, [k, m] each.
        sizes: the sizes that stopping rules bound, [k] each, by the rule's name.
        observed: for each step at which metrics were due, their values by name.
    """

    totals: Tensor
    values: Tensor
    weights: Tensor
    sizes: dict[str, Tensor]
    observed: dict[int, dict[str, Tensor]]


def due(experiment: Experiment, step: int, size: int) -> Due:
    """Return which metrics are due at each of `size` steps from `step` on."""
    found: list[tuple[str, ...]] = [()] * size
    for name, metric in experiment.metrics.items():
        for i in range(-step % metric.every, size, metric.every):
            found[i] += (name,)
    return tuple(found)


def take(
    experiment: Experiment, carry: Carry, batches: Sequence[Batch], metrics_due: Due, count: Callable[[Loss], Loss]
) -> tuple[Carry, Block]:
    """Make one step for each batch; pure, so that the same block can be taken again from the same carry."""
    totals, values, weights, sizes = [], [], [], []
    observed: dict[int, dict[str, Tensor]] = {}
    with torch.no_grad():
        for i, batch in enumerate(batches):
            before = carry
            jacobian = any(experiment.metrics[name].uses_jacobian for name in metrics_due[i])
            carry, evaluated = advance(experiment, before, batch, count, jacobian)
            total, own = stopping_values(experiment, evaluated, before, carry)
            totals.append(total)
            values.append(evaluated.values)
            weights.append(evaluated.weights)
            sizes.append(own)
            if metrics_due[i]:
                observation = observe(experiment, before, evaluated, carry, batch)
                observed[i] = measure(experiment, before, metrics_due[i], observation)
        stacked = {name: torch.stack([own[name] for own in sizes]) for name in experiment.stop.bounds}
        return carry, Block(torch.stack(totals), torch.stack(values), torch.stack(weights), stacked, observed)


def measure(experiment: Experiment, carry: Carry, names: Iterable[str], observation: Observation) -> dict[str, Tensor]:
    """Return the values of the metrics of these names, together; they look at the step from `carry`."""
    values: dict[str, Tensor] = {}
    for name in names:
        metric = experiment.metrics[name]
        with look_chance(metric, carry):
            values |= metric(observation)
    return values
