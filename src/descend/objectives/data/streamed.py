"""Training data that do not fit into memory: the workers of a DataLoader read them during the run."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.utils.data
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.graph.chance import mixed
from descend.graph.generators import seeded
from descend.objectives.data.convert import as_inputs, as_targets
from descend.objectives.data.dataset import Dataset, Examples, has_room
from descend.objectives.data.shuffled import of_parts
from descend.objectives.data.tensors import DataSource, Tensors, read, read_whole

Pair = tuple[Tensor, Tensor]


def usual_workers() -> int:
    """Return 2, or 1 on a machine with one core: torch warns of more workers than cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(2, cores or 1)


@dataclass(frozen=True, eq=False)
class Streamed(Dataset):
    """Training examples that are read batch by batch during the run; the other parts are held in memory.

    The order of an epoch, and the random numbers drawn while an example is read (augmentation by torch, numpy or
    `random`), depend on the run's seed alone, not on the number of workers. The loss over all training data, which the
    start, the end and metrics ask for, is computed on an evenly spread sample.

    Args:
        train: a data set indexed by number; each example is a pair of an input and a target, arrays or tensors of one
            shape.
        test: the test examples; see `Tensors`.
        validation: the validation examples, if any.
        workers: number of processes that read, by default 2, or 1 on one core; 0 reads in the process of the run.
        sample: how many training examples are in that sample, ≥ 1.

    Raises:
        ConfigurationError: the examples cannot be read by number, or are not pairs.
    """

    train: torch.utils.data.Dataset
    test: DataSource
    validation: DataSource | None = None
    workers: int = field(default_factory=usual_workers)
    sample: int = 1024

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "workers", at_least=0)
        check_number(self, "sample", at_least=1)
        if not hasattr(self.train, "__len__") or not hasattr(self.train, "__getitem__"):
            raise ConfigurationError(
                f"The training data are a {type(self.train).__name__}, but data that are read during the run are read "
                "by number; give it __len__ and __getitem__."
            )

    def __len__(self) -> int:
        """Number of training examples."""
        return len(self.train)  # type: ignore[arg-type]

    def load(self) -> Examples:
        spread = torch.linspace(0, len(self) - 1, min(self.sample, len(self)), dtype=torch.float64, device="cpu").long()
        with seeded(mixed(0)):
            sample = read_whole("train", torch.utils.data.Subset(self.train, spread.tolist()))
            test = read("test", self.test)
            validation = None if self.validation is None else read("validation", self.validation)
        return of_parts(self, sample, validation, test)

    def part_indices(self, examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
        assert examples.parts is not None  # there is a part for testing
        return examples.parts

    def scaled(self, examples: Examples, train: Tensor) -> tuple[Tensor, Tensor]:
        return examples.inputs, examples.targets

    def epochs(self, generator: torch.Generator, size: int) -> "Epochs":
        """Return the batches of a run, `size` examples each, epoch by epoch; the order is drawn from `generator`."""
        return Epochs(self, generator, size)


class Epochs(Iterator[Pair]):
    """An endless iterator over the batches of a run, [1, size, …]; the engine sees each as an epoch of one batch.

    The last examples of an epoch, too few for a batch, are skipped.
    """

    def __init__(self, data: Streamed, generator: torch.Generator, size: int) -> None:
        self._data, self._generator, self._size = data, generator, size
        self._asked: list[list[tuple[int, int]]] = []
        self._at = 0
        self._reader: Iterator[Pair] | None = None

    def _begin_if_over(self) -> None:
        """Once this epoch is used up, draw the order of the next one, and a seed for reading each of its examples."""
        if self._at < len(self._asked):
            return
        many = len(self._data)
        order = torch.randperm(many, generator=self._generator, device="cpu").tolist()
        seed = int(torch.randint(2**62, (), generator=self._generator, dtype=torch.int64, device="cpu"))
        asked = [(i, mixed(seed, i)) for i in order]
        self._asked = [asked[at : at + self._size] for at in range(0, many - many % self._size, self._size)]
        self._at, self._reader = 0, None

    def __next__(self) -> Pair:
        self._begin_if_over()
        if self._reader is None:
            self._reader = reader(self._data, self._asked[self._at :])
        inputs, targets = next(self._reader)
        self._at += 1
        return inputs[None], targets[None]

    def skip(self, batches: int) -> None:
        """Skip batches without reading them."""
        while batches:
            self._begin_if_over()
            skipped = min(batches, len(self._asked) - self._at)
            self._at, self._reader, batches = self._at + skipped, None, batches - skipped


def reader(data: Streamed, asked: Sequence[Sequence[tuple[int, int]]]) -> Iterator[Pair]:
    """Yield the batches asked for; each request is a list of pairs (number of an example, seed for reading it)."""
    loader = torch.utils.data.DataLoader(
        ByNumberAndSeed(data.train),
        batch_sampler=asked,  # type: ignore[arg-type]  # its items are whatever the data set accepts
        num_workers=min(data.workers, len(asked)),
    )
    for inputs, targets in loader:
        yield as_inputs("training inputs", inputs), as_targets("training targets", targets)


class ByNumberAndSeed(torch.utils.data.Dataset):
    """A data set indexed by pairs (number of an example, seed for reading it)."""

    def __init__(self, data: torch.utils.data.Dataset) -> None:
        self._data = data

    def __getitem__(self, asked: tuple[int, int]) -> Any:
        number, seed = asked
        with seeded(seed):
            return self._data[number]


def in_memory_or_streamed(
    train: DataSource, test: DataSource | None, validation: DataSource | None
) -> Tensors | Streamed:
    """Return data in memory if they fit; else data whose training part is read during the run.

    Raises:
        ConfigurationError: they do not fit, and cannot be read by number or have no test part.
    """
    loader = train if isinstance(train, torch.utils.data.DataLoader) else None
    data: Any = train if loader is None else loader.dataset
    by_number = hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, tuple | list)
    if test is None or not by_number:
        return Tensors(train, test, validation)
    inputs, _ = read_whole("train", torch.utils.data.Subset(data, [0]))
    if has_room(len(data) * inputs.numel()):
        return Tensors(train, test, validation)
    return Streamed(data, test, validation, workers=usual_workers() if loader is None else loader.num_workers)
