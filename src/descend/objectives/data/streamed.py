"""Training data that do not fit into memory: read while the run goes, by the workers of a DataLoader."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.utils.data
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.graph.chance import mixed, set_to
from descend.objectives.data.convert import as_inputs, as_targets
from descend.objectives.data.dataset import Dataset, Examples, has_room
from descend.objectives.data.shuffled import of_parts
from descend.objectives.data.tensors import Handed, Tensors, read, read_whole

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Streamed(Dataset):
    """Training examples that are read batch by batch while a run goes; the other parts are held in memory.

    The order of an epoch, and what is drawn while an example is read (an augmentation by torch, numpy or `random`),
    depend on the run's seed alone, whatever the number of workers. Where the loss over all training data is asked for,
    at the start, at the end and by metrics, it is that of a sample, evenly spread.

    Args:
        train: examples by number, each a pair of an input and a target, arrays or tensors of one shape.
        test: those for testing; see `Tensors`.
        validation: those for validation, if any.
        workers: processes that read; 0 reads in the process of the run.
        sample: how many training examples are in that sample, ≥ 1.

    Raises:
        ConfigurationError: the examples cannot be read by number, or are no pairs.
    """

    train: torch.utils.data.Dataset
    test: Handed
    validation: Handed | None = None
    workers: int = 2
    sample: int = 1024

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "workers", at_least=0)
        check_number(self, "sample", at_least=1)
        if not hasattr(self.train, "__len__") or not hasattr(self.train, "__getitem__"):
            raise ConfigurationError(
                f"The training data are a {type(self.train).__name__}, but what is read while a run goes is asked for "
                "by number; give it __len__ and __getitem__."
            )

    def __len__(self) -> int:
        """How many training examples there are."""
        return len(self.train)  # type: ignore[arg-type]

    def load(self) -> Examples:
        spread = torch.linspace(0, len(self) - 1, min(self.sample, len(self)), dtype=torch.float64, device="cpu").long()
        with drawing(mixed(0)):
            shown = read_whole("train", torch.utils.data.Subset(self.train, spread.tolist()))
            test = read("test", self.test)
            validation = None if self.validation is None else read("validation", self.validation)
        return of_parts(self, shown, validation, test)

    def dealt(self, examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
        assert examples.parts is not None  # there is a part for testing
        return examples.parts

    def scaled(self, examples: Examples, train: Tensor) -> tuple[Tensor, Tensor]:
        return examples.inputs, examples.targets

    def epochs(self, generator: torch.Generator, size: int) -> "Epochs":
        """Return the batches of a run, `size` examples each, epoch by epoch; the order is drawn from `generator`."""
        return Epochs(self, generator, size)


class Epochs(Iterator[Pair]):
    """The batches of a run, for ever; each is the one batch [1, size, …] of an epoch of the engine's.

    An epoch's last examples, too few for a batch, are left out of it.
    """

    def __init__(self, data: Streamed, generator: torch.Generator, size: int) -> None:
        self._data, self._generator, self._size = data, generator, size
        self._asked: list[list[tuple[int, int]]] = []
        self._at = 0
        self._reader: Iterator[Pair] | None = None

    def _begin_if_over(self) -> None:
        """Draw the order of another epoch, and what each of its examples will draw, where this one is used up."""
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
        """Leave batches out without reading them."""
        while batches:
            self._begin_if_over()
            made = min(batches, len(self._asked) - self._at)
            self._at, self._reader, batches = self._at + made, None, batches - made


def reader(data: Streamed, asked: Sequence[Sequence[tuple[int, int]]]) -> Iterator[Pair]:
    """Yield the batches asked for, each a list of numbers of examples with the seeds of what they draw."""
    loader = torch.utils.data.DataLoader(
        ByNumberAndSeed(data.train),
        batch_sampler=asked,  # type: ignore[arg-type]  # its items are whatever the data set takes
        num_workers=min(data.workers, len(asked)),
    )
    for inputs, targets in loader:
        yield as_inputs("training inputs", inputs), as_targets("training targets", targets)


class ByNumberAndSeed(torch.utils.data.Dataset):
    """A data set whose examples are asked for with the seed of what they draw."""

    def __init__(self, data: torch.utils.data.Dataset) -> None:
        self._data = data

    def __getitem__(self, asked: tuple[int, int]) -> Any:
        number, seed = asked
        with drawing(seed):
            return self._data[number]


@contextmanager
def drawing(seed: int) -> Iterator[None]:
    """Set the generators of torch, numpy and `random`, from which a user's data set may draw, and set them back."""
    by_python, by_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    try:
        with set_to(seed, []):
            yield
    finally:
        random.setstate(by_python)
        np.random.set_state(by_numpy)  # noqa: NPY002


def in_memory_or_streamed(train: Handed, test: Handed | None, validation: Handed | None) -> Tensors | Streamed:
    """Return data in memory where they fit there; else data whose training part is read while a run goes.

    Raises:
        ConfigurationError: they do not fit, and cannot be read by number or have no part for testing.
    """
    loader = train if isinstance(train, torch.utils.data.DataLoader) else None
    data: Any = train if loader is None else loader.dataset
    by_number = hasattr(data, "__len__") and hasattr(data, "__getitem__") and not isinstance(data, tuple | list)
    if test is None or not by_number:
        return Tensors(train, test, validation)
    inputs, _ = read_whole("train", torch.utils.data.Subset(data, [0]))
    if has_room(len(data) * inputs.numel()):
        return Tensors(train, test, validation)
    return Streamed(data, test, validation, workers=2 if loader is None else loader.num_workers)
