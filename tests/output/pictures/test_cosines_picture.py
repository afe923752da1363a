"""The heat map of the angles between the losses' gradients, read back pixel by pixel."""

import io

import matplotlib.image
import numpy as np

from descend.output.pictures.cosines import cosines_picture
from descend.records import Column, Records


def records(**cosines: list[float]) -> list[Records]:
    steps = np.arange(4)
    return [Records({f"cosine/{name}": Column(steps, np.array(values)) for name, values in cosines.items()})]


def pixels(picture: bytes | None) -> np.ndarray:
    assert picture is not None
    image: np.ndarray = matplotlib.image.imread(io.BytesIO(picture))[:, :400, :3]  # left of the bar of colours
    return image


def test_conflict_is_blue_and_agreement_is_red() -> None:
    opposed, alike = (pixels(cosines_picture(records(a=[x] * 4, b=[0.0] * 4))) for x in (-0.95, 0.95))
    blue = lambda image: int((image[..., 2] > image[..., 0] + 0.2).sum())  # noqa: E731
    red = lambda image: int((image[..., 0] > image[..., 2] + 0.2).sum())  # noqa: E731
    assert blue(opposed) > 5_000
    assert red(opposed) == 0
    assert red(alike) > 5_000
    assert blue(alike) == 0


def test_one_pair_needs_no_map() -> None:
    assert cosines_picture(records(a=[1.0] * 4)) is None
    assert cosines_picture([]) is None
