"""A folder of images, with a folder for each class."""

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.objectives.data.dataset import Examples, check_fits
from descend.objectives.data.files import reading, stamp
from descend.objectives.data.on_disk import OnDisk
from descend.objectives.data.shuffled import Shuffled


@dataclass(frozen=True)
class Images(Shuffled):
    """The images in the sub-folders of a folder, one for each class, in the order of their names.

    Inputs are [n, channels, height, width]: one channel if all images are grey, else red, green and blue, without
    transparency, rotated as their EXIF tag says. Without standardising they lie in [0, 1]. Files whose names begin with
    a dot are left out. Training images that do not fit into memory are read during the run.

    Args:
        path: the folder.
        size: height and width to which every image is scaled; None keeps their size, which must be the same for all.
    """

    path: str
    size: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size is not None:
            check_number(self, "size", at_least=1)

    def __str__(self) -> str:
        return self.path

    def version(self) -> Hashable:
        """Return the folders' stamps, which change with the names in them: overwriting an image goes unnoticed."""
        return (stamp(self.path, folder=True), *(stamp(str(folder), folder=True) for folder in self._folders()))

    def _folders(self) -> list[Path]:
        every = Path(self.path).expanduser().iterdir()
        return sorted(each for each in every if each.is_dir() and not each.name.startswith("."))

    def files(self) -> OnDisk:
        found = [(file, i) for i, folder in enumerate(self._folders()) for file in images_in(folder)]
        if not found:
            raise ConfigurationError(f"{self.path} has no sub-folders; put the images of each class into its own.")
        names = [file for file, _ in found]
        classes = torch.tensor([i for _, i in found], dtype=torch.int64, device="cpu")
        return ImageFiles(names, classes, *self._kind(names))

    def load(self) -> Examples:
        files = self.files()
        shape = files[0].shape
        check_fits(self.path, len(files) * shape.numel())
        pixels = torch.empty(len(files), *shape, dtype=torch.float64, device="cpu")
        for i in range(len(files)):
            pixels[i] = files[i]
        return Examples(pixels, files.targets)

    def _kind(self, files: list[Path]) -> tuple[bool, tuple[int, int]]:
        """Return whether all images are grey, and the height and width of each."""
        from PIL import Image, ImageOps

        sizes, grey = dict[tuple[int, int], Path](), True
        for file in files:
            with reading(file), Image.open(file) as image:
                if image.mode[0] in "IF":
                    raise ConfigurationError(
                        f"{file} has more than 8 bits a channel ({image.mode}), which would be lost; save it as 8 "
                        "bits, or pass all images as arrays."
                    )
                grey = grey and image.mode in ("1", "L")
                size = ImageOps.exif_transpose(image).size if self.size is None else (self.size, self.size)
                sizes.setdefault(size, file)
        if len(sizes) > 1:
            shown = " and ".join(f"{file} has {width} × {height}" for (width, height), file in list(sizes.items())[:2])
            raise ConfigurationError(f"{shown} pixels, but all need one size; set objective.data.size.")
        [(width, height)] = sizes
        return grey, (height, width)


class ImageFiles(OnDisk):
    """Images that are read one by one, in [0, 1], each float64 [channels, height, width].

    Args:
        names: the files.
        classes: the class of each image, int64 [n].
        grey: whether the images have one channel.
        size: height and width to which they are scaled.
    """

    def __init__(self, names: list[Path], classes: Tensor, grey: bool, size: tuple[int, int]) -> None:
        self.targets, self._names, self._grey, self._size = classes, names, grey, size

    def __getitem__(self, number: int) -> Tensor:
        pixels = torch.from_numpy(np.array(self._pixels(self._names[number]), dtype=np.float64) / 255)
        return pixels[None] if self._grey else pixels.movedim(2, 0).contiguous()

    def _pixels(self, file: Path) -> np.ndarray:
        """Return the pixels of an image, 0 to 255, [height, width] or [height, width, 3]."""
        from PIL import Image, ImageOps

        size = self._size[::-1]
        with reading(file), Image.open(file) as image:
            turned = ImageOps.exif_transpose(image)
            plain = turned.convert("L" if self._grey else "RGBA" if turned.mode == "P" else "RGB")
            plain = plain if self._grey else plain.convert("RGB")
            return np.asarray(plain if plain.size == size else plain.resize(size, Image.Resampling.BILINEAR))


def images_in(folder: Path) -> list[Path]:
    """Return the image files of one class, sorted by name."""
    files = sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    if not files:
        raise ConfigurationError(f"{folder} has no image; put the images of its class there, or remove the folder.")
    return files
