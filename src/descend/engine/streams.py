"""The starts and batches of runs, each drawn from its run's own seed."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from descend.engine.check import check_floating
from descend.engine.experiment import Experiment
from descend.graph.compat import pytree
from descend.objectives.objective import Objective
from descend.types import Batch, Params


@dataclass
class Streams:
    """The batches of runs: one source for each different (seed, objective), shared by the runs that have it.

    Attributes:
        sources: the batches of each source, for ever.
        of_run: for each run the number of its source, int64 [runs].
        own: whether a batch is drawn for each run, tensors [runs, …]; else one for all.
        drawn: how many batches were drawn.
    """

    sources: list[Iterator[Batch]]
    of_run: Tensor
    own: bool
    drawn: int = 0

    def example(self) -> Batch:
        """Return one run's next batch without using it up."""
        batch = next(self.sources[0])
        self.sources[0] = itertools.chain([batch], self.sources[0])
        return batch

    def draw(self) -> Batch:
        """Return the next batch of every run."""
        self.drawn += 1
        drawn = [next(source) for source in self.sources]
        return pytree.tree_map(lambda *x: stack_of_sources(x, self.of_run), *drawn) if self.own else drawn[0]

    def skip(self, batches: int) -> None:
        """Leave out the batches that were drawn before a run was interrupted."""
        self.drawn += batches
        for source in self.sources:
            next(itertools.islice(source, batches, batches), None)

    def select(self, places: Sequence[int]) -> None:
        """Go on with the batches of these runs only; the other sources go on as well."""
        self.of_run = self.of_run[torch.tensor(places, dtype=torch.int64, device="cpu")]


def stack_of_sources(parts: tuple[Any, ...], of_run: Tensor) -> Any:
    """Return the tensors of the sources as one tensor over runs."""
    return torch.stack(parts)[of_run.to(parts[0].device)] if isinstance(parts[0], Tensor) else parts[0]


@dataclass(frozen=True)
class Beginning:
    """Where runs begin.

    Attributes:
        experiment: their template, in its place.
        params: their starting parameters, [runs, …] each, in their place.
        streams: their batches.
        threads: CPU threads.
    """

    experiment: Experiment
    params: Params
    streams: Streams
    threads: int


def begin(template: Experiment, seeds: Sequence[int], objectives: Sequence[Objective], own: bool) -> Beginning:
    """Draw the start of every run; runs of one seed and one objective share the draw, and the batches that follow it.

    Args:
        seeds, objectives: of each run.
        own: whether each run has batches of its own; where not, all share one source.
    """
    drawn: dict[tuple[int, int], tuple[Params, Iterator[Batch]]] = {}
    keys = [(seed, id(objective)) for seed, objective in zip(seeds, objectives, strict=True)]
    for (seed, key), objective in zip(keys, objectives, strict=True):
        if (seed, key) not in drawn:
            generator = torch.Generator(device="cpu").manual_seed(seed)
            params = objective.init(generator)
            check_floating(params)
            drawn[seed, key] = (params, objective.batches(generator))
    numbers = {key: i for i, key in enumerate(drawn)}
    of_run = torch.tensor([numbers[key] for key in keys], dtype=torch.int64, device="cpu")
    starts = [params for params, _ in drawn.values()]
    experiment, placed, threads = template.placed(starts[0])
    params = {name: torch.stack([start[name] for start in starts])[of_run].to(x) for name, x in placed.items()}
    return Beginning(experiment, params, Streams([batches for _, batches in drawn.values()], of_run, own), threads)
