"""Arrays that NumPy saved."""

import zipfile
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.data.convert import as_inputs, as_targets
from descend.objectives.data.dataset import Examples, check_fits
from descend.objectives.data.files import check_among, enumerated, reading, stamp
from descend.objectives.data.shuffled import Shuffled, of_parts

Read = Callable[[str], np.ndarray]


@dataclass(frozen=True)
class Arrays(Shuffled):
    """Inputs and targets from an `.npz` file, or from a folder of `.npy` files, whose names are those of the arrays.

    There are either two arrays, `inputs` [n, …] and `targets` [n] or [n, …]; or there are parts, `train_inputs`,
    `train_targets`, `test_inputs`, `test_targets` and, if at all, `validation_inputs` and `validation_targets`
    (`x_train` is as good as `train_x`). Targets of whole numbers or truth values are classes, others are numbers.
    Inputs of whole numbers are indices (tokens) and stay so, save bytes (uint8), which are pixels.

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

    def load(self) -> Examples:
        place = Path(self.path).expanduser()
        with reading(self.path):
            if place.is_dir():
                names = [file.stem for file in place.glob("*.npy")]
                return self._taken(names, lambda name: np.load(place / f"{name}.npy", mmap_mode="r"))
            if not zipfile.is_zipfile(place):
                raise ConfigurationError(
                    f"{self.path} is no .npz file; write one by numpy.savez({place.stem + '.npz'!r}, "
                    f"{self.inputs}=…, {self.targets}=…), or give a folder of .npy files."
                )
            with np.load(place) as file:
                for entry in file.zip.infolist():
                    check_fits(f"{entry.filename} of {self.path}", entry.file_size, 1)
                return self._taken(file.files, file.__getitem__)

    def _taken(self, names: list[str], read: Read) -> Examples:
        if self.inputs in names or not self._has_parts(names):
            for field, name in (("inputs", self.inputs), ("targets", self.targets)):
                check_among(self.path, "array", name, sorted(names), field)
            return Examples(*self._pair(self.inputs, self.targets, read))
        return of_parts(self, *(self._part(part, names, read) for part in ("train", "validation", "test")))

    def _has_parts(self, names: list[str]) -> bool:
        return f"train_{self.inputs}" in names or f"{self.inputs}_train" in names

    def _part(self, part: str, names: list[str], read: Read) -> tuple[Tensor, Tensor] | None:
        """Return the inputs and targets of a part; None where there is no such part."""
        for join in (f"{part}_{{}}", f"{{}}_{part}"):
            inputs, targets = join.format(self.inputs), join.format(self.targets)
            if inputs in names and targets not in names:
                raise ConfigurationError(
                    f"{self.path} has {inputs}, but no {targets}: it has the arrays {enumerated(sorted(names))}; name "
                    "the targets by objective.data.targets."
                )
            if inputs in names:
                return self._pair(inputs, targets, read)
        return None

    def _pair(self, inputs: str, targets: str, read: Read) -> tuple[Tensor, Tensor]:
        found = []
        for name, convert in ((inputs, as_inputs), (targets, as_targets)):
            array = read(name)
            check_fits(f"{name} of {self.path}", array.size)
            found.append(convert(f"{name} of {self.path}", array))
        return found[0], found[1]
