"""Blocks of steps by a compiled program.

What is compiled and what is not depends on the configuration and on the number of a step alone, never on the time that
anything took: results are then the same on a busy machine.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from descend.engine.block import STEPS, Block, Due, join, measure, take
from descend.engine.compiled import compiled, lift, refill, tensors, uncounted
from descend.engine.experiment import Experiment
from descend.engine.step import Carry, Taken, observe
from descend.types import Batch, Params


class CompiledBlocks:
    """Takes blocks like `block.take`, as many steps as can be by a program of `STEPS` steps, the rest one by one.

    Metrics due at every step are part of the program; the others look at what it leaves of each step.

    Args:
        experiment: in its place.
        names: the names of its losses.
        carry: the carry of its start.
        batches: the first `STEPS` batches.

    Raises:
        Exception: whatever the compiler raises where a step cannot be traced or compiled.
    """

    def __init__(self, experiment: Experiment, names: tuple[str, ...], carry: Carry, batches: Sequence[Batch]) -> None:
        self._experiment, self._names = experiment, names
        metrics = experiment.metrics.items()
        self._always = tuple(name for name, metric in metrics if metric.every == 1 and metric.batchable)
        self._call, self._example = compiled(self._steps, lift(carry), list(batches))
        self._kept = len(tensors(self._example[0]))
        self._found = len(tensors(self._example[1]))

    def _steps(self, carry: Carry, batches: Sequence[Batch]) -> tuple[Carry, Block, list[tuple[Params, Params]]]:
        """Make `STEPS` steps; where a metric may want it, also return parameters and gradients after each of them."""
        blocks, passed = [], []
        for batch in batches:
            carry, block = take(self._experiment, carry, [batch], (self._always,), uncounted)
            blocks.append(block)
            passed.append((carry.params, carry.gradients))
        rare = len(self._always) < len(self._experiment.metrics)
        return carry, in_columns(blocks), passed if rare else []

    def take(self, carry: Carry, batches: Sequence[Batch], metrics_due: Due) -> tuple[Carry, Block]:
        """Make one step for each batch."""
        whole = len(batches) - len(batches) % STEPS
        carry, blocks = lift(carry), []
        if whole:
            carry, block = self._repeat(carry, batches[:whole], metrics_due[:whole])
            blocks.append(block)
        if whole < len(batches):
            carry, block = take(self._experiment, carry, batches[whole:], metrics_due[whole:], uncounted)
            blocks.append(block)
        return carry, join(blocks)

    def _repeat(self, carry: Carry, batches: Sequence[Batch], metrics_due: Due) -> tuple[Carry, Block]:
        leaves: Sequence[Tensor] = tensors(carry)
        found: list[Sequence[Tensor]] = []
        observed: dict[int, dict[str, Tensor]] = {}
        with torch.no_grad():
            for at in range(0, len(batches), STEPS):
                drawn = batches[at : at + STEPS]
                outputs = self._call(*leaves, *tensors(list(drawn)))
                rare = [tuple(n for n in names if n not in self._always) for names in metrics_due[at : at + STEPS]]
                if any(rare):
                    before, after = refill(carry, leaves), refill(self._example, outputs)
                    observed |= {at + i: x for i, x in self._observe(before, after, drawn, rare).items()}
                leaves = outputs[: self._kept]
                found.append(outputs[self._kept : self._kept + self._found])
            joined = [torch.cat(column) for column in zip(*found, strict=True)]
        block = refill(self._example[1], joined)
        return refill(carry, leaves), block._replace(observed=observed)

    def _observe(
        self, before: Carry, after: Any, batches: Sequence[Batch], metrics_due: Sequence[tuple[str, ...]]
    ) -> dict[int, dict[str, Tensor]]:
        """Return what the metrics due see of the steps that led from `before` to what the program left, `after`."""
        _, block, passed = after
        observed: dict[int, dict[str, Tensor]] = {}
        for i, (params, gradients) in enumerate(passed):
            following = Carry(params, before.optimizer, before.aggregator, gradients, block.values[i], before.step + 1)
            if metrics_due[i]:
                taken = Taken(self._names, block.values[i], block.weights[i], gradients)
                observation = observe(self._experiment, before, taken, following, batches[i])
                observed[i] = measure(self._experiment, metrics_due[i], observation)
            before = following
        return observed


def in_columns(blocks: Sequence[Block]) -> Block:
    """Return blocks of one step each, which observed the same names, as one whose observations are columns."""
    seen = [block.observed.get(0, {}) for block in blocks]
    joined = join([block._replace(observed={}) for block in blocks])
    return joined._replace(always={name: torch.stack([found[name] for found in seen]) for name in seen[0]})
