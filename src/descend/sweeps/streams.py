"""The starts and batches of many runs, each drawn from its run's own seed."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor

from descend.engine.check import check_floating
from descend.engine.experiment import Experiment
from descend.sweeps.job import Group
from descend.types import Batch, Params


@dataclass(frozen=True)
class Streams:
    """The batches of many runs: one generator for each different (seed, objective), shared by the runs that have it.

    Attributes:
        of_run: for each run the number of its stream, int64 [runs]; None where all share one.
    """

    sources: list[Iterator[Batch]]
    of_run: Tensor | None

    def example(self) -> Batch:
        """Return one run's next batch without using it up."""
        batch = next(self.sources[0])
        self.sources[0] = itertools.chain([batch], self.sources[0])
        return batch

    def draw(self) -> Batch:
        """Return the next batch of every run: tensors [runs, …], or one batch where all share one stream."""
        drawn = [next(source) for source in self.sources]
        of_run = self.of_run
        if of_run is None:
            return drawn[0]
        return pytree.tree_map(lambda *x: stacked(x, of_run), *drawn)


def stacked(parts: tuple[Any, ...], of_run: Tensor) -> Any:
    """Return the tensors of the streams as one tensor over runs."""
    return torch.stack(parts)[of_run] if isinstance(parts[0], Tensor) else parts[0]


@dataclass(frozen=True)
class Beginning:
    """Where the runs of a group begin.

    Attributes:
        experiment: the group's template, in its place.
        params: the starting parameters of all runs, [runs, …] each, in their place.
        streams: their batches.
        threads: CPU threads for one run.
    """

    experiment: Experiment
    params: Params
    streams: Streams
    threads: int


def begin(group: Group) -> Beginning:
    """Draw every run's start; runs of one seed and one objective share the draw, and the batches that follow it."""
    drawn: dict[tuple[int, int], tuple[Params, Iterator[Batch]]] = {}
    keys = [(seed, id(objective)) for seed, objective in zip(group.seeds, group.objectives, strict=True)]
    for (seed, key), objective in zip(keys, group.objectives, strict=True):
        if (seed, key) not in drawn:
            generator = torch.Generator(device="cpu").manual_seed(seed)
            params = objective.init(generator)
            check_floating(params)
            drawn[seed, key] = (params, objective.batches(generator))
    numbers = {key: i for i, key in enumerate(drawn)}
    of_run = torch.tensor([numbers[key] for key in keys], dtype=torch.int64, device="cpu")
    starts = [params for params, _ in drawn.values()]
    experiment, placed, threads = group.template.placed(starts[0])
    params = {name: torch.stack([start[name] for start in starts])[of_run].to(x) for name, x in placed.items()}
    streams = Streams([batches for _, batches in drawn.values()], of_run if len(drawn) > 1 else None)
    return Beginning(experiment, params, streams, threads)
