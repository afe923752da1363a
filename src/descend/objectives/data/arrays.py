"""Arrays that NumPy saved."""

import bisect
import itertools
import zipfile
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.data.convert import as_inputs, as_targets
from descend.objectives.data.dataset import Examples, check_fits
from descend.objectives.data.files import check_among, enumerated, reading, stamp
from descend.objectives.data.on_disk import OnDisk
from descend.objectives.data.shuffled import Shuffled, of_parts

Read = Callable[[str], np.ndarray]

READ_WHOLE = "save the arrays as .npy files in a folder, which are read during the run"


@dataclass(frozen=True)
class Arrays(Shuffled):
    """Inputs and targets from an `.npz` file, or from a folder of `.npy` files named after their arrays.

    The data hold either two arrays, `inputs` [n, …] and `targets` [n] or [n, …], or separate parts: `train_inputs`,
    `train_targets`, `test_inputs`, `test_targets` and optionally `validation_inputs` and `validation_targets`
    (`x_train` works as well as `train_x`). Integer and boolean targets are classes, all others are numbers. Integer
    inputs are indices (tokens) and stay integers, except bytes (uint8), which are pixels. Files in a folder that do not
    fit into memory are read during the run.

    Args:
        path: the file or folder.
        inputs: the name of the inputs.
        targets: the name of the targets.
    """

    path: str
    inputs: str = "inputs"
    targets: str = "targets"

    def __str__(self) -> str:
        return self.path

    def version(self) -> Hashable:
        if not Path(self.path).expanduser().is_dir():
            return stamp(self.path)
        return tuple(stamp(str(file)) for file in sorted(Path(self.path).expanduser().glob("*.npy")))

    def files(self) -> OnDisk | None:
        place = Path(self.path).expanduser()
        if not place.is_dir():
            return None  # an .npz file is read whole
        found = self._names([file.stem for file in place.glob("*.npy")])
        pairs = [pair for pair in found if pair is not None]
        if len(found) > 1 and (found[0] is None or found[-1] is None):
            return None  # `load` refuses it
        with reading(self.path):
            inputs = [np.load(place / f"{name}.npy", mmap_mode="r") for name, _ in pairs]
            targets = [as_targets(f"{name} of {self.path}", np.load(place / f"{name}.npy")) for _, name in pairs]
        sizes = [0, 0, 0]
        for i, pair in enumerate(found):
            sizes[i] = 0 if pair is None else len(targets[pairs.index(pair)])
        return ArrayFiles(self.path, inputs, targets, sizes if len(found) > 1 else None)

    def load(self) -> Examples:
        place = Path(self.path).expanduser()
        with reading(self.path):
            if place.is_dir():
                names = [file.stem for file in place.glob("*.npy")]
                return self._read(names, lambda name: np.load(place / f"{name}.npy", mmap_mode="r"))
            if not zipfile.is_zipfile(place):
                raise ConfigurationError(
                    f"{self.path} is no .npz file; write one by numpy.savez({place.stem + '.npz'!r}, "
                    f"{self.inputs}=…, {self.targets}=…), or give a folder of .npy files."
                )
            with np.load(place) as file:
                for entry in file.zip.infolist():
                    check_fits(f"{entry.filename} of {self.path}", entry.file_size, 1, READ_WHOLE)
                return self._read(file.files, file.__getitem__)

    def _read(self, names: list[str], read: Read) -> Examples:
        pairs = [None if pair is None else self._pair(*pair, read) for pair in self._names(names)]
        return Examples(*pairs[0]) if len(pairs) == 1 and pairs[0] is not None else of_parts(self, *pairs)

    def _names(self, names: list[str]) -> list[tuple[str, str] | None]:
        """Return the names of inputs and targets: of all examples, or of training, validation and test parts."""
        parts = f"train_{self.inputs}" in names or f"{self.inputs}_train" in names
        if self.inputs not in names and parts:
            return [self._names_of_part(part, names) for part in ("train", "validation", "test")]
        for field, name in (("inputs", self.inputs), ("targets", self.targets)):
            check_among(self.path, "array", name, sorted(names), field)
        return [(self.inputs, self.targets)]

    def _names_of_part(self, part: str, names: list[str]) -> tuple[str, str] | None:
        """Return the names of the inputs and targets of a part; None where there is no such part."""
        for join in (f"{part}_{{}}", f"{{}}_{part}"):
            inputs, targets = join.format(self.inputs), join.format(self.targets)
            if inputs in names and targets not in names:
                raise ConfigurationError(
                    f"{self.path} has {inputs}, but no {targets}: it has the arrays {enumerated(sorted(names))}; name "
                    "the targets by objective.data.targets."
                )
            if inputs in names:
                return inputs, targets
        return None

    def _pair(self, inputs: str, targets: str, read: Read) -> tuple[Tensor, Tensor]:
        found = []
        for name, convert in ((inputs, as_inputs), (targets, as_targets)):
            array = read(name)
            check_fits(f"{name} of {self.path}", array.size)
            found.append(convert(f"{name} of {self.path}", array))
        return found[0], found[1]


class ArrayFiles(OnDisk):
    """Arrays that are read row by row.

    Args:
        path: the folder, for messages.
        inputs, targets: the arrays of each part.
        sizes: the numbers of training, validation and test examples; None where the examples are not split yet.
    """

    def __init__(self, path: str, inputs: list[np.ndarray], targets: list[Tensor], sizes: Sequence[int] | None) -> None:
        self._path, self._inputs, self.targets = path, inputs, torch.cat(targets)
        self._ends = list(itertools.accumulate(len(x) for x in inputs))
        if sizes is not None:
            train, validation, test = torch.arange(len(self), device="cpu").split(list(sizes))
            self.parts = (train, validation, test)

    def __getitem__(self, number: int) -> Tensor:
        part = bisect.bisect_right(self._ends, number)
        row = self._inputs[part][number - (self._ends[part - 1] if part else 0)]
        return as_inputs(f"inputs of {self._path}", np.asarray(row))
