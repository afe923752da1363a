"""The start, the step and the end of one run, recorded once with the experiment's numbers as inputs.

The step is recorded with the real autograd into a graph of plain tensor operations, so that every derivative is
computed as the objective says, custom backwards included. A single run and ten thousand are carried out from the same
graph.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from descend.aggregators.stationarity import comparable, is_stationary
from descend.engine.block import measure
from descend.engine.experiment import Experiment
from descend.engine.numbers import Leaf, numbers_of, with_leaves
from descend.engine.step import (
    Carry,
    LossesAndGradient,
    Origin,
    Standing,
    advance,
    evaluate,
    lift,
    observe,
    start,
    stopping_values,
    uncounted,
)
from descend.errors import Untraceable
from descend.graph.recorder import VALUE, Value, depends
from descend.graph.simplify import simplified
from descend.graph.stack import runs_last
from descend.graph.trace import refill, tensors, trace
from descend.types import Batch
from descend.vectors import norm

Numbers = dict[Leaf, Tensor]
"""The numbers of a run, 0-d; or of many, [runs]."""

MOST_ENTRIES_LAST = 64
"""The run axis stands last where no tensor of a run has more entries."""


class StepValues(NamedTuple):
    """What one step computed of a run, beside the new carry.

    Attributes:
        total: weights · losses, [].
        losses, weights: [m] each.
        sizes: the sizes that stopping rules bound, [] each, by the rule's name.
        observed: the values of the metrics due.
    """

    total: Tensor
    losses: Tensor
    weights: Tensor
    sizes: dict[str, Tensor]
    observed: dict[str, Tensor]


class Final(NamedTuple):
    """Where a run ended, and what was found there over the whole data.

    `stationary` tells whether no direction lowers every loss there, bool []; it is asked where the aggregator looks at
    the single gradients, too.
    """

    standing: Standing
    total: Tensor
    losses: Tensor
    weights: Tensor
    norm: Tensor
    tested: dict[str, Tensor]
    observed: dict[str, Tensor]
    stationary: Tensor


def finished(experiment: Experiment, carry: Carry, names: Iterable[str]) -> Final:
    """Evaluate where one run stands over the whole data, with the metrics of these names."""
    standing = Standing.of(experiment, carry)
    carry = carry._replace(params=standing.params)
    evaluated, _, _ = evaluate(experiment, carry, None, False, experiment.aggregator.uses_jacobian)
    rows = evaluated.jacobian if comparable(evaluated.names) else None
    tested = standing.tested(experiment, carry)
    observation = replace(observe(experiment, carry, evaluated, None, None), evaluate=lambda: tested)
    return Final(
        standing,
        evaluated.total,
        evaluated.values,
        evaluated.weights,
        norm(evaluated.gradients),
        tested,
        measure(experiment, carry, names, observation),
        torch.zeros_like(evaluated.values[0], dtype=torch.bool) if rows is None else is_stationary(rows),
    )


def seen(
    experiment: Experiment,
    names: tuple[str, ...],
    due: Iterable[str],
    before: Carry,
    after: Carry,
    weights: Tensor,
    batch: Batch,
) -> dict[str, Tensor]:
    """Return what metrics see of the step from `before` to `after`, which was made with `weights`."""
    evaluated = LossesAndGradient(names, after.losses, weights, after.gradients)
    return measure(experiment, before, due, observe(experiment, before, evaluated, after, batch))


def arranged(tree: Any, like: Any, where: str = "the carry") -> Any:
    """Return a tree whose dicts have their names in the order of another's; what goes on is known by its place.

    Raises:
        Untraceable: it has other names, or more or fewer parts.
    """
    if isinstance(like, dict):
        if not isinstance(tree, dict) or tree.keys() != like.keys():
            raise Untraceable(f"{where} has other names after a step than before it")
        return {name: arranged(tree[name], x, f"{where}, {name!r}") for name, x in like.items()}
    if isinstance(like, tuple | list):
        if type(tree) is not type(like) or len(tree) != len(like):
            raise Untraceable(f"{where} has another number of parts after a step than before it")
        parts = [arranged(*pair, where) for pair in zip(tree, like, strict=True)]
        return type(like)(*parts) if hasattr(like, "_fields") else type(like)(parts)
    return tree


class Recorded:
    """A function of one run as a graph.

    Args:
        function: takes and returns trees of tensors.
        example: its inputs for one run.
        differs: for each tensor of the inputs, whether it differs between runs.

    Attributes:
        graph: from flat tensors to flat tensors.
        found: what the function returned for the example.
        output: for each tensor of the output, whether it differs between runs.
        bytes: memory that the intermediate results of one run take, at most.

    Raises:
        Untraceable: the function looks at the value of a tensor in Python.
    """

    def __init__(self, function: Callable[..., Any], example: Sequence[Any], differs: Sequence[bool]) -> None:
        graph, self.found = trace(function, *example)
        self.graph = simplified(graph)
        self.mark(differs)
        self.bytes = sum(size(node) for node in self.graph.graph.nodes)

    def mark(self, differs: Sequence[bool]) -> None:
        """State anew which inputs differ between runs."""
        self.differs = list(differs)
        self.output = depends(self.graph, self.differs)

    def tree(self, found: Iterable[Any]) -> Any:
        """Return flat outputs in the shape of the function's output."""
        return refill(self.found, found)


def size(node: torch.fx.Node) -> int:
    """Return the bytes of a node's value."""
    value = node.meta.get(VALUE)
    return value.bytes if isinstance(value, Value) else 0


class Program:
    """An experiment's start, step and end, recorded.

    Args:
        experiment: in its place; its optimizer, aggregator, objective and metrics are batchable.
        names: of its losses.
        origin: where one run begins, in its place.
        batch: a batch of one run.
        own_batches: whether each run of a stack draws batches of its own.
        arrays: whether metrics' values that are more than a number are wanted, too (of thousands of runs nobody looks
            at them).

    Attributes:
        leaves: where the numbers stand that are inputs: all that are not 0. Methods leave out what is 0, so that a
            number that is exactly 0 is part of the structure.
        first: gives a run's carry before its first step.
        numbers: what they are in the run that was recorded, 0-d.
        batch, own_batches: as given.
        kept: how many of a step's outputs are the carry.
        last: whether the run axis of a stack stands last.
        draws: whether a step has a batch.
        hosted: names of metrics that recording cannot follow: they are called as they are written.
        bytes: memory that one run takes, at most.

    Raises:
        Untraceable: the step cannot be recorded.
    """

    def __init__(
        self,
        experiment: Experiment,
        names: tuple[str, ...],
        origin: Origin,
        batch: Batch,
        own_batches: bool = False,
        arrays: bool = False,
    ) -> None:
        self.experiment, self.names, self._arrays = experiment, names, arrays
        device = next(iter(origin.params.values())).device
        own = numbers_of(experiment)
        self.leaves, self.own_batches, self.batch = list(own), own_batches, batch
        numbers = self.numbers = {leaf: torch.tensor(x, dtype=torch.float64, device=device) for leaf, x in own.items()}
        given = numbers, origin
        self.first = Recorded(self.start, given, [True] * len(tensors(given)))
        carry = self.first.found
        # A batch may be the objective's own data, which losses look at, too: a recording tells tensors by their memory.
        self._example = (numbers, carry, refill(batch, [x.clone() for x in tensors(batch)]))
        self.kept = len(tensors(carry))
        self.draws = bool(tensors(batch))
        self._marks = [True] * len(numbers) + self.first.output + [own_batches] * len(tensors(batch))
        self.hosted: set[str] = set()
        self._steps: dict[tuple[str, ...], Recorded] = {}
        self._looks: dict[tuple[str, ...], Recorded] = {}
        self._finishes: dict[tuple[str, ...], Recorded] = {}
        self.last = runs_last(self.step(()).graph, MOST_ENTRIES_LAST) and not self.draws
        self.bytes = self.step(()).bytes + sum(x.numel() * x.element_size() for x in tensors(self._example))

    @property
    def params_places(self) -> range:
        """Where the parameters stand among the tensors of the carry."""
        return range(len(self._example[1].params))

    @property
    def carried(self) -> list[bool]:
        """For each tensor of the carry, whether it differs between runs."""
        return self._marks[len(self.leaves) : self._kept_end]

    @property
    def _kept_end(self) -> int:
        return len(self.leaves) + self.kept

    def of_run(self, numbers: Sequence[Tensor], run: int) -> Experiment:
        """Return the experiment of one run of a stack whose numbers are [runs] each, as it is written alone."""
        own = {leaf: float(x[run]) for leaf, x in zip(self.leaves, numbers, strict=True)}
        return with_leaves(self.experiment, own)

    def start(self, numbers: Numbers, origin: Origin) -> Carry:
        """Return one run's carry before its first step."""
        return lift(start(with_leaves(self.experiment, numbers), origin))

    def step(self, due: tuple[str, ...]) -> Recorded:
        """Return the step that computes the metrics `due`; the carry's marks grow until they reproduce themselves."""

        def step(numbers: Numbers, carry: Carry, batch: Batch) -> tuple[Carry, StepValues]:
            experiment = with_leaves(self.experiment, numbers)
            jacobian = any(experiment.metrics[name].uses_jacobian for name in due)
            after, evaluated = advance(experiment, carry, batch, uncounted, jacobian)
            total, sizes = stopping_values(experiment, evaluated, carry, after)
            observation = observe(experiment, carry, evaluated, after, batch)
            observed = measure(experiment, carry, due, observation)
            found = StepValues(total, evaluated.values, evaluated.weights, sizes, self._wanted(observed))
            return arranged(after, carry), found

        if due not in self._steps:
            recorded = Recorded(step, self._example, self._marks)
            while any(out and not kept for out, kept in zip(recorded.output, self.carried, strict=False)):
                grown = [out or kept for out, kept in zip(recorded.output, self.carried, strict=False)]
                self._marks = [*self._marks[: len(self.leaves)], *grown, *self._marks[self._kept_end :]]
                recorded.mark(self._marks)
            self._steps[due] = recorded
        return self._steps[due]

    def look(self, due: tuple[str, ...]) -> Recorded:
        """Return what computes the metrics `due` beside a step: from the carries before and after it, and its batch."""

        def look(numbers: Numbers, before: Carry, after: Carry, weights: Tensor, batch: Batch) -> dict[str, Tensor]:
            experiment = with_leaves(self.experiment, numbers)
            return self._wanted(seen(experiment, self.names, due, before, after, weights, batch))

        if due not in self._looks:
            numbers, carry, batch = self._example
            weights = torch.ones_like(carry.losses)
            given = [*self._marks[: len(self.leaves)], *self.carried * 2, True, *self._marks[self._kept_end :]]
            self._looks[due] = Recorded(look, (numbers, carry, carry, weights, batch), given)
        return self._looks[due]

    def finish(self, names: tuple[str, ...]) -> Recorded:
        """Return the evaluation of a run's last parameters over the whole data, with the metrics of these names."""

        def finish(numbers: Numbers, carry: Carry) -> Final:
            final = finished(with_leaves(self.experiment, numbers), carry, names)
            return final._replace(observed=self._wanted(final.observed))

        if names not in self._finishes:
            example = self._example[:2]
            self._finishes[names] = Recorded(finish, example, [True] * len(tensors(example)))
        return self._finishes[names]

    def _wanted(self, observed: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: x for name, x in observed.items() if self._arrays or not x.dim()}
