"""What an objective draws for a run of a seed: its start, and its batches.

Descend's own objectives draw from the generator that they are given. A user's may draw from the global ones as well,
which are set for it to what the seed decides: else a run would have another start in a sweep than alone.
"""

from collections.abc import Iterator

import torch

from descend.engine.own import alike, own_parts
from descend.errors import ConfigurationError
from descend.graph.chance import mixed
from descend.graph.generators import seeded
from descend.graph.trace import tensors
from descend.objectives.objective import Objective
from descend.types import Batch, Params, State


def draws_of(objective: Objective, seed: int) -> tuple[tuple[Params, State], Iterator[Batch]]:
    """Return the start of a run of this seed, its parameters and its objective's state, and its epochs from there."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    if own_parts([objective]):
        return objective.start_and_state(generator), epochs(objective, generator)
    with seeded(mixed(seed)):
        start = objective.start_and_state(generator)
    drawn = epochs(objective, generator)
    return start, SeededEpochs(drawn, seed) if draws_batches(objective) else drawn


class SeededEpochs:
    """Epochs of a user's own objective, each drawn with the global generators set to what seed and number decide."""

    def __init__(self, epochs: Iterator[Batch], seed: int) -> None:
        self._epochs, self._seed, self._number = epochs, seed, 0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        self._number += 1
        with seeded(mixed(self._seed, self._number)):
            return next(self._epochs)


def epochs(objective: Objective, generator: torch.Generator) -> Iterator[Batch]:
    """Return an objective's epochs; where a class below gives it other batches, these one at a time."""
    by_epoch, by_batch = defining(objective, "epochs"), defining(objective, "batches")
    if issubclass(by_epoch, by_batch):
        return objective.epochs(generator)
    return Objective.epochs(objective, generator)


def defining(objective: Objective, name: str) -> type:
    """Return the class that an objective has a method from."""
    return next(kind for kind in type(objective).__mro__ if name in vars(kind))


def draws_batches(objective: Objective) -> bool:
    """Tell whether an objective draws batches by code that is not descend's."""
    return not own_parts([defining(objective, "epochs"), defining(objective, "batches")])


def check_draws(objective: Objective, seed: int) -> None:
    """Require that a user's own objective draws the same start, and the same batches, for the same seed.

    Raises:
        ConfigurationError: it does not.
    """
    if own_parts([objective]):
        return
    (first, epochs), (second, others) = (draws_of(objective, seed) for _ in range(2))
    what = "start" if not alike(tensors(first), tensors(second)) else ""
    if not what and draws_batches(objective) and not alike(tensors(next(epochs)), tensors(next(others))):
        what = "first batch"
    if what:
        raise ConfigurationError(
            f"{type(objective).__name__} gives another {what} when it is asked again with the same seed: it keeps "
            "something between the calls, or draws from a generator of its own. Draw from the generator that is given, "
            "or by torch (torch.rand), which the seed of the run decides."
        )
