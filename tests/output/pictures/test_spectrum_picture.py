"""The picture of a density over a run: a PNG file where there is a density, nothing elsewhere."""

import numpy as np
import pytest

from descend.output.pictures.spectrum import spectrum_picture
from descend.records import Column, Records

PNG = b"\x89PNG\r\n\x1a\n"


def block(steps: list[int], bins: int) -> Records:
    edges = np.linspace(-1.0, 5.0, bins)
    histograms = np.stack([np.stack([edges, np.arange(bins) * 1.0]) for _ in steps])
    return Records(histograms={"curvature/density": Column(np.array(steps, np.int64), histograms)})


@pytest.mark.parametrize("bins", [1, 2, 64])
def test_events_of_several_blocks_are_drawn(bins: int) -> None:
    picture = spectrum_picture([block([0], bins), Records(), block(list(range(10, 30)), bins)], "a title")
    assert picture is not None
    assert picture.startswith(PNG)
    assert len(picture) < 150_000


def test_nothing_to_draw() -> None:
    assert spectrum_picture([Records()]) is None
