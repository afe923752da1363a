"""Data passed from Python."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.utils.data
from torch import Tensor

from descend.errors import ConfigurationError
from descend.graph.chance import mixed, set_to
from descend.objectives.data.convert import as_inputs, as_targets
from descend.objectives.data.dataset import Examples, check_fits
from descend.objectives.data.shuffled import Shuffled, of_parts

DataSource = tuple[Tensor, Tensor] | torch.utils.data.Dataset | torch.utils.data.DataLoader
"""A pair (inputs, targets), or a data set or loader that yields such pairs, of one example or of a batch."""


@dataclass(frozen=True, eq=False)
class Tensors(Shuffled):
    """Data passed from Python: tensors, a `torch.utils.data.Dataset`, or a `DataLoader`.

    A data set is read into memory once, in its own order; the workers of a DataLoader read its data set. Random numbers
    drawn during reading (augmentation) come from `split_seed`, once for all epochs. Types are converted as in `Arrays`.

    Args:
        train: the examples.
        test: those for testing; None takes `test_fraction` of `train`.
        validation: those for validation; None takes `validation_fraction` of `train`.
        standardise: as for every data set, but off by default, so that a network sees the data as they were passed.
    """

    train: DataSource
    test: DataSource | None = None
    validation: DataSource | None = None
    standardise: bool = field(default=False, kw_only=True)

    # Compared by identity, because their tensors are too large to compare.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def load(self) -> Examples:
        with set_to(mixed(self.split_seed), []):
            parts = [
                None if source is None else read(name, source)
                for name, source in (("train", self.train), ("validation", self.validation), ("test", self.test))
            ]
        return of_parts(self, *parts)


def read(name: str, source: DataSource) -> tuple[Tensor, Tensor]:
    """Return the inputs and targets of a part, in memory.

    Raises:
        ConfigurationError: it is neither tensors nor a data set; or see `read_whole`.
    """
    if isinstance(source, tuple | list) and len(source) == 2 and all(isinstance(x, Tensor) for x in source):
        return as_inputs(f"{name} inputs", source[0]), as_targets(f"{name} targets", source[1])
    if isinstance(source, torch.utils.data.Dataset | torch.utils.data.DataLoader):
        return read_whole(name, source)
    raise ConfigurationError(
        f"Tensors.{name} is a {type(source).__name__}, but a pair of tensors (inputs, targets), a "
        "torch.utils.data.Dataset or a DataLoader is needed."
    )


def read_whole(name: str, source: torch.utils.data.Dataset | torch.utils.data.DataLoader) -> tuple[Tensor, Tensor]:
    """Return all examples of a data set, in its own order, those of an incomplete last batch included.

    Raises:
        ConfigurationError: an example is not a pair of an input and a target; or the examples do not fit into memory;
            or a DataLoader does not take each of them once.
    """
    given = source if isinstance(source, torch.utils.data.DataLoader) else None
    data: Any = source if given is None else given.dataset
    if given is not None:
        check_takes_all(name, given)
    loader = torch.utils.data.DataLoader(
        data,
        batch_size=256 if given is None else given.batch_size,
        num_workers=0 if given is None else given.num_workers,
        collate_fn=None if given is None else given.collate_fn,
        worker_init_fn=None if given is None else given.worker_init_fn,
        generator=torch.Generator(device="cpu").manual_seed(0),
    )
    examples = len(data) if hasattr(data, "__len__") else None
    batches: list[tuple[Tensor, Tensor]] = []
    for batch in with_clear_errors(name, loader):
        if not isinstance(batch, Sequence) or len(batch) != 2:
            raise ConfigurationError(
                f"An example of Tensors.{name} is a {type(batch).__name__}, but a pair (input, target) is needed; wrap "
                "the data set in one that gives pairs."
            )
        pair = as_inputs(f"{name} inputs", batch[0]), as_targets(f"{name} targets", batch[1])
        if not batches and examples is not None:
            check_fits(f"Tensors.{name}", examples * (pair[0][0].numel() + pair[1][0].numel()))
        batches.append(pair)
    if not batches:
        raise ConfigurationError(f"Tensors.{name} has no example.")
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def check_takes_all(name: str, loader: torch.utils.data.DataLoader) -> None:
    """Require that a DataLoader takes every example of its data set once in an epoch, in batches.

    Raises:
        ConfigurationError: it has a sampler that may leave out or repeat examples, or a batch sampler.
    """
    if isinstance(loader.dataset, torch.utils.data.IterableDataset) and loader.batch_size is not None:
        return
    sampler = loader.sampler
    every = type(sampler) is torch.utils.data.SequentialSampler
    if isinstance(sampler, torch.utils.data.RandomSampler):
        every = not sampler.replacement and sampler.num_samples == len(sampler.data_source)
    if loader.batch_size is None or not every:
        kind = type(sampler if loader.batch_size is not None else loader.batch_sampler).__name__
        raise ConfigurationError(
            f"The DataLoader Tensors.{name} chooses its examples by a {kind}, but each is used once in an epoch here; "
            "pass a torch.utils.data.Subset of the data set, or the data set itself."
        )


def with_clear_errors(name: str, loader: Iterable[Any]) -> Iterable[Any]:
    """Yield what a loader yields; turn an exception that the user's data set raises into one sentence."""
    try:
        yield from loader
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")[:300]
        raise ConfigurationError(f"Reading Tensors.{name} raised {type(error).__name__}: {reason}.") from error
