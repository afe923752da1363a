"""The starts and batches of runs, each drawn from its run's own seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from descend.engine.check import check_floating
from descend.engine.drawn import draws_of
from descend.engine.experiment import Experiment
from descend.engine.step import Origin
from descend.graph.compat import pytree
from descend.objectives.objective import Objective
from descend.types import Batch, Params, State

MOST_BYTES = 2**26
"""At most this many bytes of batches, of all runs together, are on the device at a time, and at most an epoch."""


class EpochSource:
    """The batches of one (seed, objective), taken from epochs.

    Args:
        epochs: see `Objective.epochs`; what they yield lies on the CPU.
    """

    def __init__(self, epochs: Iterator[Batch]) -> None:
        self._epochs, self._epoch, self._at = epochs, next(epochs), 0

    def left(self) -> int:
        """Return how many batches are left of this epoch, having begun another where none is."""
        if self._at == batches_of(self._epoch):
            self._epoch, self._at = next(self._epochs), 0
        return batches_of(self._epoch) - self._at

    def place(self) -> tuple[Batch, int]:
        """Return the epoch, and the number of its next batch."""
        return self._epoch, self._at

    def part(self, batches: int) -> Batch:
        """Return the next batches, of which at least as many are left, without using them up; tensors [batches, …]."""
        low, high = self._at, self._at + batches
        return pytree.tree_map(lambda x: x[low:high] if isinstance(x, Tensor) else x, self._epoch)

    def skip(self, batches: int) -> None:
        """Use up batches; without drawing them, where the objective's epochs can do that."""
        if hasattr(self._epochs, "skip") and batches:
            left = batches_of(self._epoch) - self._at
            self._at += min(left, batches)
            self._epochs.skip(max(0, batches - left))
            return
        while batches:
            made = min(batches, self.left())
            self._at += made
            batches -= made


def same_places(places: Sequence[tuple[Batch, int]], others: Sequence[tuple[Batch, int]]) -> bool:
    """Tell whether sources stand at the same batch of the very same epoch as before: one that is given every step."""
    return all(x is y and i == j for (x, i), (y, j) in zip(places, others, strict=True))


def batches_of(epoch: Batch) -> int:
    """Return how many batches an epoch has; one without tensors has one."""
    return next((len(x) for x in pytree.tree_leaves(epoch) if isinstance(x, Tensor)), 1)


class Streams:
    """The batches of runs: one source for each different (seed, objective), shared by the runs that have it.

    Batches are drawn on the CPU, so that every device has the same ones, and brought to the device epoch by epoch, all
    runs' in one tensor: a step takes its own from there without a copy, and without a loop over the runs.

    Args:
        epochs: of each source.
        of_run: for each run the number of its source, int64 [runs].
        own: whether a batch is drawn for each run, tensors [runs, …]; else one for all.
        device: where batches are wanted.
    """

    def __init__(self, epochs: Sequence[Iterator[Batch]], of_run: Tensor, own: bool, device: torch.device) -> None:
        self.device = device
        self._sources = [EpochSource(each) for each in (epochs if own else epochs[:1])]
        self._of_run, self._own = of_run, own
        self._ready: Batch = None
        self._places: list[tuple[Batch, int]] = []
        self._count = self._at = 0

    def example(self) -> Batch:
        """Return one run's next batch without using it up."""
        if self._at < self._count:
            found = step_of(self._ready, self._at)
            return pytree.tree_map(lambda x: x[0] if isinstance(x, Tensor) else x, found) if self._own else found
        self._sources[0].left()
        return step_of(self._placed(self._sources[0].part(1)), 0)

    def draw(self) -> Batch:
        """Return the next batch of every run."""
        if self._at == self._count:
            self._fetch()
        self._at += 1
        return step_of(self._ready, self._at - 1)

    def skip(self, batches: int) -> None:
        """Leave out the batches that were drawn before a run was interrupted."""
        made = min(batches, self._count - self._at)
        self._at += made
        for source in self._sources:
            source.skip(batches - made)

    def select(self, places: Sequence[int]) -> None:
        """Go on with the batches of these runs only; the other sources go on as well."""
        index = torch.tensor(places, dtype=torch.int64, device="cpu")
        self._of_run = self._of_run[index]
        if self._own:
            there = index.to(self.device)
            self._ready = pytree.tree_map(
                lambda x: x.index_select(1, there) if isinstance(x, Tensor) else x, self._ready
            )

    def _fetch(self) -> None:
        """Bring the next batches to the device: to the end of the epoch, or as many as there may be at a time."""
        count = min(source.left() for source in self._sources)
        one = self._sources[0].part(1)
        size = sum(x.nbytes for x in pytree.tree_leaves(one) if isinstance(x, Tensor)) * len(self._of_run)
        count = max(1, min(count, MOST_BYTES // max(size, 1)))
        places = [source.place() for source in self._sources]
        if count != self._count or not same_places(places, self._places):
            self._ready = self._of_runs([source.part(count) for source in self._sources])
        for source in self._sources:
            source.skip(count)
        self._places, self._count, self._at = places, count, 0

    def _of_runs(self, drawn: Sequence[Batch]) -> Batch:
        """Return the batches of all sources as those of all runs, tensors [batches, runs, …] on the device."""
        if not self._own:
            return self._placed(drawn[0])

        in_order = self._of_run.tolist() == list(range(len(drawn)))

        def stacked(*parts: Any) -> Any:
            if not isinstance(parts[0], Tensor):
                return parts[0]
            every = torch.stack(parts, 1)
            return every if in_order else every[:, self._of_run]

        return self._placed(pytree.tree_map(stacked, *drawn))

    def _placed(self, batches: Batch) -> Batch:
        return pytree.tree_map(lambda x: x.to(self.device) if isinstance(x, Tensor) else x, batches)


def step_of(batches: Batch, step: int) -> Batch:
    """Return one of the batches made ready."""
    if batches is None or isinstance(batches, Tensor):  # as most are
        return batches if batches is None else batches[step]
    return pytree.tree_map(lambda x: x[step] if isinstance(x, Tensor) else x, batches)


@dataclass(frozen=True)
class Beginning:
    """Where runs begin.

    Attributes:
        experiment: their template, in its place.
        origin: where each begins, tensors [runs, …], in its place.
        streams: their batches.
        threads: CPU threads.
    """

    experiment: Experiment
    origin: Origin
    streams: Streams
    threads: int


def begin(template: Experiment, seeds: Sequence[int], objectives: Sequence[Objective], own: bool) -> Beginning:
    """Draw the start of every run; runs of one seed and one objective share the draw, and the batches that follow it.

    Args:
        seeds, objectives: of each run.
        own: whether each run has batches of its own; where not, all share one source.
    """
    drawn: dict[tuple[int, int], tuple[tuple[Params, State], Iterator[Batch]]] = {}
    keys = [(seed, id(objective)) for seed, objective in zip(seeds, objectives, strict=True)]
    for (seed, key), objective in zip(keys, objectives, strict=True):
        if (seed, key) not in drawn:
            start, _ = draws = draws_of(objective, seed)
            check_floating(start[0])
            drawn[seed, key] = draws
    numbers = {key: i for i, key in enumerate(drawn)}
    of_run = torch.tensor([numbers[key] for key in keys], dtype=torch.int64, device="cpu")
    starts = [start for start, _ in drawn.values()]
    experiment, placed, threads = template.placed(starts[0][0])
    like = next(iter(placed.values()))

    def of_runs(*values: Tensor) -> Tensor:
        x = torch.stack(values)[of_run]
        return x.to(device=like.device, dtype=like.dtype if x.is_floating_point() else x.dtype)

    params, state = pytree.tree_map(of_runs, *starts)
    device = like.device
    origin = Origin(params, state, torch.tensor(list(seeds), dtype=torch.int64, device=device))
    streams = Streams([batches for _, batches in drawn.values()], of_run, own, device)
    return Beginning(experiment, origin, streams, threads)
