"""One step of one run, made into one step of many: traced, stacked along a run axis, compiled where that pays.

The single-run step is traced first, with the real autograd, into a graph of plain tensor operations; the graph is then
vmapped. So every derivative is computed as in a run of its own, custom backwards included, and nothing of the
objective or optimizer needs to know of the run axis.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import GraphModule

from descend.engine.block import measure, take
from descend.engine.check import check_start
from descend.engine.compiled import lift, refill, tensors, trace, uncounted
from descend.engine.experiment import Experiment
from descend.engine.step import Carry, evaluate, observe, start
from descend.graph.entries import small
from descend.graph.recorder import VALUE, Value, depends, returned
from descend.sweeps.job import Leaf
from descend.sweeps.leaves import with_leaves
from descend.types import Batch, Params
from descend.vectors import norm

Numbers = dict[Leaf, Tensor]
"""The numbers that differ between runs: 0-d for one run, [runs] for many."""


class Found(NamedTuple):
    """What a step of one run found: the total [], the losses [m], ‖gradient‖ [] where a rule asks, metrics due [].

    Histograms and the like are left out: of thousands of runs nobody looks at them.
    """

    total: Tensor
    losses: Tensor
    norm: Tensor | None
    observed: dict[str, Tensor]


def starting(template: Experiment) -> Callable[[Numbers, Params], Carry]:
    """Return the function that gives one run's carry before its first step."""
    return lambda numbers, params: lift(start(with_leaves(template, numbers), params))


def stepping(template: Experiment, due: tuple[str, ...]) -> Callable[[Numbers, Carry, Batch], tuple[Carry, Found]]:
    """Return the function that makes one step of one run, computing the metrics named in `due`."""

    def step(numbers: Numbers, carry: Carry, batch: Batch) -> tuple[Carry, Found]:
        carry, block = take(with_leaves(template, numbers), carry, [batch], (due,), uncounted)
        total = torch.dot(block.weights[0], block.values[0])
        length = None if block.norms is None else block.norms[0]
        numbers_seen = {name: x for name, x in block.observed.get(0, {}).items() if not x.dim()}
        return carry, Found(total, block.values[0], length, numbers_seen)

    return step


class Final(NamedTuple):
    """Where one run ended: its parameters, and over the whole data the total, losses, ‖gradient‖, tests and metrics."""

    params: Params
    total: Tensor
    losses: Tensor
    norm: Tensor
    tested: dict[str, Tensor]
    observed: dict[str, Tensor]


def finishing(template: Experiment) -> Callable[[Numbers, Carry], Final]:
    """Return the function that evaluates one run's last parameters."""

    def finish(numbers: Numbers, carry: Carry) -> Final:
        experiment = with_leaves(template, numbers)
        taken, _ = evaluate(experiment, carry.params, None, carry.aggregator)
        observation = observe(experiment, carry, taken, None, None)
        observed = measure(experiment, experiment.metrics, observation)
        total = torch.dot(taken.weights, taken.values)
        tested = experiment.objective.evaluate(carry.params)
        return Final(carry.params, total, taken.values, norm(taken.gradients), tested, observed)

    return finish


class Stacked:
    """A function of one run as a function of many.

    Args:
        function: takes and returns trees of tensors.
        example: its inputs for one run.
        batched: for each tensor of the inputs, whether it differs between runs.

    Attributes:
        output: for each tensor of the output, whether it differs between runs; the others are computed once for all.
        values: for each tensor of the output, what is known of one run's.
        bytes: memory that the intermediate results of one run take, at most.

    Raises:
        RuntimeError: the function looks at the value of a tensor in Python, so that it cannot be traced.
    """

    def __init__(self, function: Callable[..., Any], example: Sequence[Any], batched: Sequence[bool]) -> None:
        self.graph, self._output = trace(function, *example)
        self.mark(batched)
        self.values = [node.meta[VALUE] for node in returned(self.graph)]
        self.bytes = sum(size(node) for node in self.graph.graph.nodes)

    def mark(self, batched: Sequence[bool]) -> None:
        """State anew which inputs differ between runs."""
        self.batched = list(batched)
        self.output = depends(self.graph, self.batched)

    def vmapped(self, axis: int) -> Callable[..., tuple[Tensor, ...]]:
        """Return the function of flat inputs, those that differ carrying the run axis at `axis`."""
        graph = self.graph
        return torch.vmap(
            lambda *inputs: tuple(graph(*inputs)),
            in_dims=tuple(axis if differs else None for differs in self.batched),
            out_dims=tuple(axis if differs else None for differs in self.output),  # type: ignore[misc]  # takes None
        )

    def tree(self, found: Iterable[Any]) -> Any:
        """Return flat outputs in the shape of the function's output."""
        return refill(self._output, found)


def size(node: torch.fx.Node) -> int:
    """Return the bytes of a node's value."""
    value = node.meta.get(VALUE)
    return value.bytes if isinstance(value, Value) else 0


def run_axis(graph: GraphModule) -> int:
    """Return where the run axis stands: first for nets, whose matrix products batch so, last for elementwise functions.

    With the axis last, one entry of a parameter lies side by side for all runs, and vectorises.
    """
    aten = torch.ops.aten
    products = {aten.mm, aten.addmm, aten.bmm, aten.baddbmm, aten.mv, aten.convolution}
    return 0 if any(getattr(node.target, "overloadpacket", None) in products for node in graph.graph.nodes) else -1


class Program:
    """The start, the steps and the end of one run, traced, with marks on what differs between runs.

    Args:
        experiment: the group's template, in its place.
        numbers, params, batch: those of one run, as examples.
        own_batches: whether each run draws batches of its own.

    Attributes:
        first: gives a run's carry.
        names: the names of the losses.
        numbers, kept: how many of a step's inputs are numbers, and how many of its outputs go on to the next.
        axis: where the run axis stands in the carry.
        draws: whether a step has a batch.
        small: whether a step is so small, and so much by itself, that a kernel may take it.
        bytes: memory that one run takes, at most.

    Raises:
        RuntimeError: the step cannot be traced.
    """

    def __init__(
        self, experiment: Experiment, numbers: Numbers, params: Params, batch: Batch, own_batches: bool
    ) -> None:
        self.experiment = experiment
        self.first = Stacked(starting(experiment), (numbers, params), [True] * (len(numbers) + len(params)))
        self._example = (numbers, starting(experiment)(numbers, params), batch)
        self.numbers, self.kept = len(numbers), len(self.first.output)
        self._marks = [True] * self.numbers + self.first.output + [own_batches] * len(tensors(batch))
        self._steps: dict[tuple[str, ...], Stacked] = {}
        self.names = check_start(experiment, params)
        graph = self.step(()).graph
        self.axis = -1 if small(graph) else run_axis(graph)
        self.draws = bool(tensors(batch))
        self.small = small(graph) and not self.draws and all(x.device.type == "cpu" for x in params.values())
        self.bytes = self.step(()).bytes + sum(x.numel() * x.element_size() for x in tensors(self._example))

    @property
    def carried(self) -> list[bool]:
        """For each tensor of the carry, whether it differs between runs."""
        return self._marks[self.numbers : self.numbers + self.kept]

    def step(self, due: tuple[str, ...]) -> Stacked:
        """Return the step that computes the metrics `due`, its carry's marks grown until they reproduce themselves."""
        if due not in self._steps:
            step = Stacked(stepping(self.experiment, due), self._example, self._marks)
            while any(out and not kept for out, kept in zip(step.output, self.carried, strict=False)):
                grown = [out or kept for out, kept in zip(step.output, self.carried, strict=False)]
                self._marks = [*self._marks[: self.numbers], *grown, *self._marks[self.numbers + self.kept :]]
                step.mark(self._marks)
            self._steps[due] = step
        return self._steps[due]

    def evaluate(self, numbers: Sequence[Tensor], carry: Sequence[Tensor]) -> Final:
        """Evaluate the last parameters of many runs; the run axis stands first in every tensor, in and out."""
        example = self._example[:2]
        finish = Stacked(finishing(self.experiment), example, [True] * len(tensors(example)))
        with torch.no_grad():
            found = finish.vmapped(0)(*numbers, *carry)
        runs = len(carry[0])
        every = zip(found, finish.output, strict=True)
        return finish.tree([x if differs else x.expand(runs, *x.shape) for x, differs in every])
