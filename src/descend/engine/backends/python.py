"""Steps made as they are written, one after the other: what cannot be recorded is run so, a run at a time."""

from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from descend.engine.backends.backend import Backend, Pattern, Summary
from descend.engine.block import take
from descend.engine.evaluations import Evaluations
from descend.engine.experiment import Experiment
from descend.engine.program import Final, finished
from descend.engine.step import Carry, Origin, Standing, start
from descend.graph.compat import pytree
from descend.graph.trace import refill, tensors
from descend.types import Batch, Loss


class Counted(NamedTuple):
    """A carry, and how often the steps that led to it evaluated what."""

    carry: Carry
    evaluations: Evaluations


class PythonBackend(Backend):
    """Makes the steps of one run by calling its parts.

    Args:
        experiment: in its place.
        names: of its losses.
        origin: where it begins, in its place.
    """

    name: ClassVar[str] = "python"

    def __init__(self, experiment: Experiment, names: tuple[str, ...], origin: Origin) -> None:
        self._experiment, self.names = experiment, names
        begun = pytree.tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, start(experiment, origin))
        self.carry = Counted(begun, Evaluations())

    def advance(self, batches: Sequence[Batch], pattern: Pattern) -> list[Summary]:
        counts = copy(self.carry.evaluations)

        def count(loss: Loss) -> Loss:
            return loss if self._experiment.optimizer.batchable else counts.counted(loss)

        due = tuple(names for _, names in pattern)
        carry, block = take(self._experiment, self.carry.carry, batches, due, count)
        counts.function += len(batches)
        counts.gradient += len(batches)
        self.carry = Counted(carry, counts)
        totals = block.totals[:, None]
        kept = [i for i, (recorded, _) in enumerate(pattern) if recorded]
        finite = totals.isfinite()
        sizes = {name: x[:, None] for name, x in block.sizes.items()}
        return [
            Summary(
                lowest=torch.where(finite, totals, torch.inf).amin(0),
                finite=finite.all(0),
                least={name: x.amin(0) for name, x in sizes.items()},
                totals=totals[kept],
                losses=block.values[kept, None] if len(self.names) > 1 else None,
                sizes={name: x[kept] for name, x in sizes.items()},
                observed={i: {name: x[None] for name, x in found.items()} for i, found in block.observed.items()},
            )
        ]

    def select(self, places: Sequence[int]) -> None:
        """There is one run: it goes on."""

    def columns(self, places: Sequence[int]) -> list[Any]:
        return [self.carry]

    def standing(self, columns: list[Any], runs: Sequence[int]) -> Standing:
        return pytree.tree_map(lambda x: x[None], Standing.of(self._experiment, columns[0].carry))

    def place(self, columns: list[Any]) -> None:
        [self.carry] = columns

    def plain(self, columns: list[Any]) -> list[Any]:
        """Return the carry of the one run, its counts, and for each tensor whether it lies elsewhere than the run does.

        Classes of other libraries keep numbers on the CPU beside parameters on a GPU, and generators can do no other.
        """
        [counted] = columns
        carry = counted.carry._asdict()
        return [carry, dict(vars(counted.evaluations)), [x.device != self._device for x in tensors(carry)]]

    def filled(self, saved: list[Any]) -> list[Any]:
        carry, evaluations, elsewhere = saved
        found = [x if apart else x.to(self._device) for x, apart in zip(tensors(carry), elsewhere, strict=True)]
        return [Counted(Carry(**refill(carry, found)), Evaluations(**evaluations))]

    @property
    def _device(self) -> torch.device:
        return next(iter(self.carry.carry.params.values())).device

    def finish(self, columns: list[Any]) -> Final:
        with torch.no_grad():
            found = finished(self._experiment, columns[0].carry, self._experiment.metrics)
            return pytree.tree_map(lambda x: x[None], found)

    def evaluations(self, columns: list[Any], steps: int) -> dict[str, int]:
        carry, counts = columns[0]
        ended = Evaluations(**vars(counts))
        ended.function, ended.gradient = ended.function + 1, ended.gradient + 1
        return ended.plus(self._experiment.optimizer.evaluations(steps, carry.optimizer))
