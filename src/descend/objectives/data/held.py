"""Data sets held in memory, or read from their files while a run goes where they do not fit there."""

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

TOGETHER = 256
"""Examples that are added up at once."""


class Scale(NamedTuple):
    """Subtracts a mean and divides by a deviation, each of any shape that fits."""

    mean: Tensor
    deviation: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


class Part(torch.utils.data.Dataset):
    """Examples at some places, scaled; pairs of an input and a target.

    Args:
        inputs: where they are read.
        targets: of all examples, scaled already.
        places: of those in the part.
        scale: of the inputs; None leaves them as they are.
    """

    def __init__(self, inputs: OnDisk, targets: Tensor, places: Tensor, scale: Scale | None) -> None:
        self._inputs, self._targets, self._places, self._scale = inputs, targets, places, scale

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        place = int(self._places[i])
        x = self._inputs[place]
        return x if self._scale is None else self._scale(x), self._targets[place]


@dataclass(frozen=True, eq=False, kw_only=True)
class FromDisk(Streamed):
    """Examples of files, read while a run goes.

    Args:
        source: the data set whose files they are.
        told: how many classes there are; 0 where targets are numbers.
    """

    source: Dataset
    told: int = 0

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __str__(self) -> str:
        return str(self.source)

    def load(self) -> Examples:
        return replace(super().load(), classes=self.told)


def held(data: Dataset) -> Dataset:
    """Return data that are held in memory where they fit there; else the same, read while a run goes.

    Raises:
        ConfigurationError: the files cannot be read, or their parts for testing and validation do not fit.
    """
    return _held(data, data.version()) if isinstance(data, Shuffled) else data


@lru_cache(maxsize=8)
def _held(data: Shuffled, version: object) -> Dataset:
    files = data.files()
    if files is None or not len(files) or has_room(len(files) * files[0].numel()):
        return data
    check_examples(data, Examples(files.targets, files.targets))
    places = data.dealt(Examples(files.targets, files.targets, files.parts))
    check_parts(data, places)
    train, validation, test = places
    targets, scale = files.targets, None
    if data.standardise:
        scale = scale_of(files, train) if files[0].is_floating_point() else None
        if targets.is_floating_point():
            columns = as_columns(targets)
            targets = moments_of(columns[train].split(TOGETHER), (0,))(columns).reshape(targets.shape)
    part = [Part(files, targets, of, scale) for of in (train, validation, test)]
    classes = 0 if targets.is_floating_point() else int(targets.max()) + 1
    kept = part[1] if len(validation) else None
    return FromDisk(train=part[0], test=part[2], validation=kept, source=data, told=classes)


def scale_of(files: OnDisk, train: Tensor) -> Scale:
    """Return the scale of inputs by those of the training part: tables by column, else by all their numbers."""
    over = (0,) if files[0].dim() == 1 else tuple(range(files[0].dim() + 1))
    mean, deviation = moments_of(read_together(files, train.tolist()), over)
    return Scale(mean[0], deviation[0])


def read_together(files: OnDisk, places: Sequence[int]) -> Iterator[Tensor]:
    """Yield the inputs at some places, many at a time, [k, …]."""
    for at in range(0, len(places), TOGETHER):
        yield torch.stack([files[place] for place in places[at : at + TOGETHER]])


def moments_of(batches: Iterable[Tensor], over: tuple[int, ...]) -> Scale:
    """Return mean and deviation over these dimensions of all batches, as `standardised` has them.

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
