"""Reads data sets from their files during the run where they do not fit into memory."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import torch
import torch.utils.data
from torch import Tensor

from descend.objectives.data.dataset import Dataset, Examples, check_examples, check_parts, has_room
from descend.objectives.data.on_disk import OnDisk
from descend.objectives.data.shuffled import Shuffled, as_columns
from descend.objectives.data.streamed import Streamed

CHUNK = 256
"""How many examples are read and summed at a time."""


class Scale(NamedTuple):
    """Subtracts a mean and divides by a deviation, each of any shape that broadcasts."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class Part(torch.utils.data.Dataset):
    """The examples at some indices, scaled: pairs of an input and a target.

    Args:
        inputs: all inputs, on disk.
        targets: all targets, already scaled.
        indices: those of the examples in this part.
        scale: the scale of the inputs; None leaves them as they are.
    """

    def __init__(self, inputs: OnDisk, targets: Tensor, indices: Tensor, scale: Scale | None) -> None:
        self._inputs, self._targets, self._indices, self._scale = inputs, targets, indices, scale

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        index = int(self._indices[i])
        x = self._inputs[index]
        return x if self._scale is None else self._scale(x), self._targets[index]


@dataclass(frozen=True, eq=False, kw_only=True)
class FromDisk(Streamed):
    """Examples that are read from files during the run.

    Args:
        source: the data set that the files belong to.
        class_count: number of classes; 0 where targets are numbers.
    """

    source: Dataset
    class_count: int = 0

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return str(self.source)

    def load(self) -> Examples:
        return replace(super().load(), classes=self.class_count)


def streamed_if_too_large(data: Dataset) -> Dataset:
    """Return the data as they are if they fit into memory; else the same data, read from disk during the run.

    Raises:
        ConfigurationError: the files cannot be read, or their test and validation parts do not fit.
    """
    return _streamed_if_too_large(data, data.version()) if isinstance(data, Shuffled) else data


@lru_cache(maxsize=8)
def _streamed_if_too_large(data: Shuffled, version: object) -> Dataset:
    files = data.files()
    if files is None or not len(files) or has_room(len(files) * files[0].numel()):
        return data
    check_examples(data, Examples(files.targets, files.targets))
    indices = data.part_indices(Examples(files.targets, files.targets, files.parts))
    check_parts(data, indices)
    train, validation, test = indices
    targets, scale = files.targets, None
    if data.standardise:
        scale = scale_of(files, train) if files[0].is_floating_point() else None
        if targets.is_floating_point():
            columns = as_columns(targets)
            targets = moments_of(columns[train].split(CHUNK), (0,))(columns).reshape(targets.shape)
    part = [Part(files, targets, of, scale) for of in (train, validation, test)]
    classes = 0 if targets.is_floating_point() else int(targets.max()) + 1
    kept = part[1] if len(validation) else None
    return FromDisk(train=part[0], test=part[2], validation=kept, source=data, class_count=classes)


def scale_of(files: OnDisk, train: Tensor) -> Scale:
    """Return the scale of the inputs over the training part: by column for tables, else over all their numbers."""
    over = (0,) if files[0].dim() == 1 else tuple(range(files[0].dim() + 1))
    mean, deviation = moments_of(read_in_chunks(files, train.tolist()), over)
    return Scale(mean[0], deviation[0])


def read_in_chunks(files: OnDisk, indices: Sequence[int]) -> Iterator[Tensor]:
    """Yield the inputs at these indices, `CHUNK` at a time, [k, …]."""
    for at in range(0, len(indices), CHUNK):
        yield torch.stack([files[index] for index in indices[at : at + CHUNK]])


def moments_of(batches: Iterable[Tensor], over: tuple[int, ...]) -> Scale:
    """Return the mean and deviation over these dimensions of all batches, defined as in `standardised`.

    Chan, Golub & LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
    """
    count, mean, squares, low, high = 0, *(torch.zeros((), dtype=torch.float64, device="cpu"),) * 4
    for i, batch in enumerate(batches):
        seen = batch.numel() // max(1, batch.mean(over, keepdim=True).numel())
        variance, middle = torch.var_mean(batch, dim=over, correction=0, keepdim=True)
        share = seen / (count + seen)
        squares = squares + variance * seen + (middle - mean) ** 2 * (count * share)
        mean, count = mean + (middle - mean) * share, count + seen
        least, most = batch.amin(over, keepdim=True), batch.amax(over, keepdim=True)
        low, high = (torch.minimum(low, least), torch.maximum(high, most)) if i else (least, most)
    deviation = torch.where(low == high, 1.0, (squares / count).sqrt())
    return Scale(mean, deviation)
