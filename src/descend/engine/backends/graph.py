"""Steps made by torch, one recorded operation after the other, over a stack of runs."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, ClassVar

import torch
from torch import Tensor

from descend.engine.backends.backend import Backend, Pattern, Summary
from descend.engine.backends.stacked import Stacked, laid, once
from descend.engine.evaluations import Evaluations
from descend.engine.experiment import Experiment
from descend.engine.program import Final, Program, StepValues, finished, seen
from descend.engine.step import Carry, Origin, Standing
from descend.errors import Untraceable
from descend.graph.compat import pytree
from descend.graph.many import VECTORS
from descend.graph.trace import tensors
from descend.types import Batch

LARGE = 2**22
"""Bytes. Where one evaluation of a run takes so much, calling its parts costs little beside what they compute, and less
than to record them: metrics, and the end, are then computed of one run after the other as they are written."""


class GraphBackend(Backend):
    """Carries out a program's graph, made for as many runs as there are.

    Args:
        program: the experiment, recorded.
        numbers: its numbers, in the order of `program.leaves`, each [runs].
        origin: where the runs begin, each tensor [runs, …].
    """

    name: ClassVar[str] = "graph"
    _unit: int = VECTORS

    def __init__(self, program: Program, numbers: Sequence[Tensor], origin: Origin) -> None:
        self.program, self.names = program, program.names
        self._all = list(numbers)
        self._numbers, self._count = list(numbers), len(origin.seed)
        self._steps: dict[tuple[str, ...], Stacked] = {}
        self._looks: dict[tuple[str, ...], Stacked] = {}
        self._experiments: dict[int, Experiment] = {}
        self._splits: dict[tuple[str, ...], tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.carry = self._start(origin)

    @property
    def carried(self) -> list[bool]:
        """For each tensor of the carry, whether it has the run axis."""
        return self.program.carried

    @property
    def _height(self) -> int:
        """The length of the run axis."""
        return -(-self._count // self._unit) * self._unit if self.program.last else self._count

    def _start(self, origin: Origin) -> list[Tensor]:
        found = once(self.program.first, self.program.last, [*self._numbers, *tensors(origin)])
        return self._placed(found)

    def _laid(self, x: Tensor, differs: bool) -> Tensor:
        """Return a tensor [runs, …] as the stack has it: one for all where it does not differ between runs."""
        return laid(x, self.program.last, self._unit) if differs else x[0]

    def _placed(self, columns: Sequence[Tensor]) -> list[Tensor]:
        return [self._laid(x, own) for x, own in zip(columns, self.carried, strict=True)]

    def advance(self, batches: Sequence[Batch], pattern: Pattern) -> list[Summary]:
        found: list[StepValues] = []
        observed: dict[int, dict[str, Tensor]] = {}
        for within, alike in groupby(range(len(batches)), lambda i: self._split(pattern[i][1])[0]):
            places = list(alike)
            step = self._step(within, batches[places[0]])
            for i, outputs in zip(places, step.calls(self.carry, [batches[i] for i in places]), strict=True):
                before, self.carry = self.carry, outputs[: self.program.kept]
                found.append(step.found(outputs))
                if pattern[i][1]:
                    observed[i] = self._observed(pattern[i][1], step, found[-1], before, batches[i])
        with torch.no_grad():
            return [self._told(found, [recorded for recorded, _ in pattern])._replace(observed=observed)]

    def _observed(
        self, due: tuple[str, ...], step: Stacked, found: StepValues, before: Sequence[Tensor], batch: Batch
    ) -> dict[str, Tensor]:
        """Return what the metrics due see of the step that led from `before` to the present carry."""
        own = {name: self._of_runs(x, step.marks[1].observed[name]) for name, x in found.observed.items()}
        beside = self._split(due)[1]
        if beside:
            weights = self._spread_one(found.weights, step.marks[1].weights)
            own |= self._look(beside, before, weights, batch)
        return own

    def prepare(self) -> None:
        """Make the step for this stack now, where all its runs share their batches, not when it is first asked for."""
        if not self.program.own_batches:
            self._step((), self.program.batch)

    def _split(self, due: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return which metrics a step computes within itself, sharing the losses' gradients with it, and which not."""
        if due not in self._splits:
            metrics, several = self.program.experiment.metrics, len(self.names) > 1
            hosted = self._hosted(due)
            within = tuple(n for n in due if several and metrics[n].uses_jacobian and n not in hosted)
            self._splits[due] = within, tuple(n for n in due if n not in within)
        return self._splits[due]

    def _step(self, names: tuple[str, ...], batch: Batch) -> Stacked:
        """Return the step that computes these metrics within itself."""
        if names not in self._steps:
            recorded = self.program.step(names)
            numbers = [self._laid(x, True) for x in self._numbers]
            given = [*numbers, *self.carry, *tensors(batch)]
            self._steps[names] = Stacked(recorded, self.program.last, given, len(numbers), self.program.kept)
        return self._steps[names]

    def _hosted(self, due: tuple[str, ...]) -> tuple[str, ...]:
        """Return the metrics that are called as they are written, of one run after the other."""
        metrics, large = self.program.experiment.metrics, self.program.step(()).bytes >= LARGE
        alone = (n for n in due if not metrics[n].batchable or metrics[n].arrays or n in self.program.hosted)
        return due if large else tuple(alone)

    def _host(self, names: Sequence[str], before: Sequence[Tensor], weights: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Call metrics on each run, of the step that led from `before` to the present carry."""
        rows = weights.movedim(-1, 0) if self.program.last else weights
        found = []
        for run in range(self._count):
            drawn = pytree.tree_map(lambda x, run=run: x[run], batch) if self.program.own_batches else batch
            began, ended = self._one(before, run), self._one(self.carry, run)
            with torch.no_grad():
                found.append(seen(self._experiment(run), self.names, names, began, ended, rows[run].clone(), drawn))
        return pytree.tree_map(lambda *x: torch.stack(x), *found)

    def _experiment(self, run: int) -> Experiment:
        """Return the experiment of a run, as it is written alone."""
        if run not in self._experiments:
            self._experiments[run] = self.program.of_run(self._numbers, run)
        return self._experiments[run]

    def _one(self, carry: Sequence[Tensor], run: int) -> Carry:
        """Return the carry of a run as it is alone."""
        axis = -1 if self.program.last else 0
        marked = zip(carry, self.carried, strict=True)
        alone = torch.contiguous_format
        return self.program.first.tree(
            [x.select(axis, run).clone(memory_format=alone) if own else x for x, own in marked]
        )

    def _look(
        self, names: tuple[str, ...], before: Sequence[Tensor], weights: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        """Compute metrics beside the step that led from `before` to the present carry.

        Those that come equally often share a graph: there are then as many graphs as different `every`.
        """
        metrics, hosted = self.program.experiment.metrics, self._hosted(names)
        found = self._host(hosted, before, weights, batch) if hosted else {}
        for every in dict.fromkeys(metrics[name].every for name in names if name not in hosted):
            alike = tuple(name for name in names if metrics[name].every == every and name not in hosted)
            try:
                found |= self._look_at(alike, before, weights, batch)
            except Untraceable:
                self.program.hosted |= set(alike)
                found |= self._host(alike, before, weights, batch)
        return found

    def _look_at(
        self, names: tuple[str, ...], before: Sequence[Tensor], weights: Tensor, batch: Batch
    ) -> dict[str, Tensor]:
        given = [*self._spread(before), *self._spread(self.carry), weights, *tensors(batch)]
        if names not in self._looks:
            numbers = [self._laid(x, True) for x in self._numbers]
            recorded = self.program.look(names)
            self._looks[names] = Stacked(recorded, self.program.last, [*numbers, *given], len(numbers))
        look = self._looks[names]
        with torch.no_grad():
            values = look.tree(look.call(*given))
        return {name: self._of_runs(x, look.marks[name]) for name, x in values.items()}

    def _spread(self, carry: Sequence[Tensor]) -> list[Tensor]:
        """Return the carry with the run axis in all that may differ between runs."""
        marks = zip(carry, self.carried, self.program.carried, strict=True)
        return [self._spread_one(x, own) if may else x for x, own, may in marks]

    def _spread_one(self, x: Tensor, differs: bool) -> Tensor:
        """Return a tensor with the run axis, whether or not it differs between runs."""
        if differs:
            return x
        if self.program.last:
            return x.unsqueeze(-1).expand(*x.shape, self._height).contiguous()
        return x.expand(self._height, *x.shape).contiguous()

    def _told(self, every: Sequence[StepValues], recorded: Sequence[bool]) -> Summary:
        """Return what steps tell, what their metrics observed left out."""
        totals = self._rows([x.total for x in every])
        finite = totals.isfinite()
        sizes = {name: self._rows([x.sizes[name] for x in every]) for name in every[0].sizes}
        kept = [i for i, wanted in enumerate(recorded) if wanted]
        whole, several = len(kept) == len(every), len(self.names) > 1 and kept
        return Summary(
            lowest=torch.where(finite, totals, torch.inf).amin(0),
            finite=finite.all(0),
            least={name: x.amin(0) for name, x in sizes.items()},
            totals=totals if whole else totals[kept],
            losses=self._rows([every[i].losses for i in kept]) if several else None,
            sizes=sizes if whole else {name: x[kept] for name, x in sizes.items()},
            observed={},
        )

    def _rows(self, values: Sequence[Any]) -> Tensor:
        """Return one value of each run from every step, [steps, runs, …]."""
        rows = torch.stack(list(values))
        return (rows.movedim(-1, 1) if self.program.last else rows)[:, : self._count]

    def _of_runs(self, x: Tensor, differs: bool) -> Tensor:
        """Return a value of each run, [runs, …]."""
        if not differs:
            return x.expand(self._count, *x.shape)
        return (x.movedim(-1, 0) if self.program.last else x)[: self._count]

    def select(self, places: Sequence[int]) -> None:
        index = torch.tensor(places, dtype=torch.int64, device=self._numbers[0].device if self._numbers else "cpu")
        columns = self.columns(places)
        self._numbers, self._count = [x[index] for x in self._numbers], len(places)
        self._steps.clear()
        self._looks.clear()
        self._experiments.clear()
        self.place(columns)

    def columns(self, places: Sequence[int]) -> list[Any]:
        found = []
        for x, own in zip(self.carry, self.carried, strict=True):
            if not own:
                found.append(x.expand(len(places), *x.shape))
                continue
            index = torch.tensor(places, dtype=torch.int64, device=x.device)
            axis = -1 if self.program.last else 0
            found.append(x.index_select(axis, index).movedim(axis, 0))
        return found

    def standing(self, columns: list[Any], runs: Sequence[int]) -> Standing:
        carry = self.program.first.tree(columns)
        if not self.program.experiment.optimizer.has_other_points:
            return Standing(carry.params, carry.objective, {})
        found = []
        for place, run in enumerate(runs):
            one = pytree.tree_map(lambda x, place=place: x[place], carry)
            found.append(Standing.of(self.program.of_run(self._all, run), one))
        return pytree.tree_map(lambda *x: torch.stack(x), *found)

    def place(self, columns: list[Any]) -> None:
        self.carry = self._placed(columns)

    def filled(self, saved: list[Any]) -> list[Any]:
        device = self.carry[0].device
        return [x.to(device) for x in saved]

    def finish(self, columns: list[Any]) -> Final:
        every = tuple(self.program.experiment.metrics)
        if self.program.first.bytes >= LARGE:
            return self._finish_each(columns, every)
        hosted = self._hosted(every)
        names = tuple(name for name in every if name not in hosted)
        try:
            recorded = self.program.finish(names)
            found = once(recorded, self.program.last, [*self._all, *columns])
        except Untraceable:
            return self._finish_each(columns, every)
        final: Final = recorded.tree(found)
        if hosted:
            final = final._replace(observed=final.observed | self._finish_each(columns, hosted).observed)
        return final

    def _finish_each(self, columns: list[Any], names: tuple[str, ...]) -> Final:
        """Evaluate one run after the other by calling its parts."""
        found = []
        for run in range(len(columns[0])):
            carry = self.program.first.tree([x[run].clone(memory_format=torch.contiguous_format) for x in columns])
            with torch.no_grad():
                found.append(finished(self.program.of_run(self._all, run), carry, names))
        return pytree.tree_map(lambda *x: torch.stack(x), *found)

    def evaluations(self, columns: list[Any], steps: int) -> dict[str, int]:
        own = self.program.experiment.optimizer.evaluations(steps, {})
        return Evaluations(steps + 1, steps + 1).plus(own)
