"""The contract of a data set: examples in three parts, scaled by the statistics of the training part alone."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.memory import free_bytes

FEWER = "take fewer examples, or smaller ones"

COPIES = 3
"""How many copies of an input are in memory at most while a split is made: as read, scaled, and in its part."""


@dataclass(frozen=True)
class Split:
    """Training, validation and test examples; the validation part is empty unless one is asked for.

    Inputs are float64 [n, features], [n, channels, height, width] or of any other shape, or int64 where they are
    indices (tokens). Targets are int64 classes or float64 values, [n] or [n, …].

    Attributes:
        classes: number of classes, or 0 where targets are numbers.
    """

    train_inputs: Tensor
    train_targets: Tensor
    validation_inputs: Tensor
    validation_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor
    classes: int


@dataclass(frozen=True)
class Examples:
    """All examples of a data set on the CPU, as they were read; inputs and targets have the types of `Split`.

    Attributes:
        parts: the indices of the training, validation and test examples, where the data set itself fixes them.
        numbers: bool [features], true for the columns of a table that hold numbers; the others are never scaled.
        classes: number of classes, where the largest target does not tell it.
    """

    inputs: Tensor
    targets: Tensor
    parts: tuple[Tensor, Tensor, Tensor] | None = None
    numbers: Tensor | None = None
    classes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Dataset(ABC):
    """Examples in three parts. A subclass that reads a user's file says in one sentence what is wrong with it.

    Args:
        test_fraction: share of the examples kept for testing, in (0, 1).
        validation_fraction: share kept for validation, in [0, 1); at 0 there is no such part.
    """

    test_fraction: float = 0.2
    validation_fraction: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "test_fraction", above=0, below=1)
        check_number(self, "validation_fraction", at_least=0, below=1)
        if self.test_fraction + self.validation_fraction >= 1:
            raise ConfigurationError(
                f"test_fraction {self.test_fraction} and validation_fraction {self.validation_fraction} leave nothing "
                "for training; make their sum less than 1."
            )

    def __str__(self) -> str:
        return type(self).__name__

    @property
    def classes(self) -> int:
        """Number of classes, or 0 where the target is a number."""
        return self.split().classes

    @abstractmethod
    def load(self) -> Examples:
        """Return all examples."""

    @abstractmethod
    def part_indices(self, examples: Examples) -> tuple[Tensor, Tensor, Tensor]:
        """Return the indices of the training, validation and test examples, int64."""

    @abstractmethod
    def scaled(self, examples: Examples, train: Tensor) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of all examples, scaled by the statistics of those at the indices `train`."""

    def version(self) -> Hashable:
        """Return a value that changes whenever the files of the examples change."""
        return ()

    def split(self) -> Split:
        """Return the scaled split. A process makes it once and shares it: don't write into its tensors.

        Raises:
            ConfigurationError: the examples cannot be read or learnt from; the message says why.
        """
        return _split(self, self.version())


@lru_cache(maxsize=8)
def _split(dataset: Dataset, version: Hashable) -> Split:
    examples = dataset.load()
    check_examples(dataset, examples)
    parts = dataset.part_indices(examples)
    check_parts(dataset, parts)
    inputs, targets = dataset.scaled(examples, parts[0])
    (train, validation, test), classes = parts, examples.classes
    if classes is None:
        classes = 0 if targets.is_floating_point() else int(targets.max()) + 1
    return Split(
        *(inputs[train], targets[train]),
        *(inputs[validation], targets[validation]),
        *(inputs[test], targets[test]),
        classes=classes,
    )


def check_examples(dataset: Dataset, examples: Examples) -> None:
    """Require examples that can be learnt from: as many inputs as targets, finite values, more than one class.

    Raises:
        ConfigurationError: says what is wrong, and where it first occurs.
    """
    inputs, targets = examples.inputs, examples.targets
    if inputs.dim() == 0 or targets.dim() == 0 or len(inputs) != len(targets):
        raise ConfigurationError(
            f"{dataset} has inputs of shape {list(inputs.shape)} and targets of shape {list(targets.shape)}, but the "
            "first number of each shape is the number of examples; make them agree."
        )
    for name, values in (("inputs", inputs), ("targets", targets)):
        wrong = ~values.isfinite() if values.is_floating_point() else torch.zeros_like(values, dtype=torch.bool)
        if wrong.any():
            raise ConfigurationError(
                f"{int(wrong.sum()):,} of the {values.numel():,} numbers in the {name} of {dataset} are nan or "
                f"infinite, the first at {wrong.nonzero()[0].tolist()}; fill them in, or leave their examples out."
            )
    if targets.is_floating_point() or not targets.numel():
        return
    least, largest = int(targets.min()), int(targets.max())
    if least < 0:
        raise ConfigurationError(
            f"The targets of {dataset} are whole numbers, so they are classes, but one is {least}; number the classes "
            "from 0, or convert targets that are numbers to floats."
        )
    if least == largest:
        raise ConfigurationError(
            f"All {len(targets):,} examples of {dataset} have the target {least}, so there is nothing to learn; add "
            "examples of another class."
        )


def check_parts(dataset: Dataset, parts: tuple[Tensor, Tensor, Tensor]) -> None:
    """Require at least one example in each part that is asked for.

    Raises:
        ConfigurationError: naming the part that is empty.
    """
    asked = (True, dataset.validation_fraction > 0, True)
    for name, part, needed in zip(("training", "validation", "test"), parts, asked, strict=True):
        if needed and not len(part):
            raise ConfigurationError(
                f"{dataset} has {sum(map(len, parts)):,} examples, which leaves none for the {name} part; give it more."
            )


def has_room(entries: int, entry: int = 8 * COPIES) -> bool:
    """Tell whether there is memory for this many numbers; see `check_fits`."""
    return entries * entry <= free_bytes(torch.device("cpu"))


def check_fits(name: object, entries: int, entry: int = 8 * COPIES, advice: str = FEWER) -> None:
    """Require memory for `entries` numbers, each of which takes `entry` bytes while a split is made.

    Args:
        advice: what the message advises.

    Raises:
        ConfigurationError: says how many bytes are needed, and how many are free.
    """
    if not has_room(entries, entry):
        free = free_bytes(torch.device("cpu"))
        raise ConfigurationError(
            f"{name} needs {entries * entry / 1e9:,.2f} GB of memory for its {entries:,} numbers, but "
            f"{free / 1e9:,.2f} GB are free; {advice}."
        )
