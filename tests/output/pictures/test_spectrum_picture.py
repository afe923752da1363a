"""The picture of a density over a run: a PNG file where there is a density, nothing elsewhere."""

import numpy as np
import pytest

from descend.output.pictures.spectrum import smoothed, spectrum_picture
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


def test_the_nodes_of_a_quadrature_are_drawn_as_the_density_they_stand_for() -> None:
    """Wigner's semicircle 2/pi sqrt(1 - x^2) by its Gauss rule of 30 nodes (Abramowitz & Stegun 25.4.40)."""
    angles = np.pi * np.arange(1, 31) / 31
    nodes, weights = np.cos(angles), 2 / 31 * np.sin(angles) ** 2
    bins, total = 64, 1000
    counts, edges = np.histogram(nodes, bins, (nodes.min(), nodes.max()), weights=total * weights)
    assert (counts == 0).sum() > bins / 3, "a comb, as it is recorded"
    where, density = smoothed(edges[1:], counts)
    width = edges[1] - edges[0]
    assert np.trapezoid(density, where) / width == pytest.approx(total, rel=1e-3)
    inner = np.abs(where) < 0.8
    exact = total * width * 2 / np.pi * np.sqrt(1 - where[inner] ** 2)
    # A bin moves a node by half of its width at most, a sixth of the way to the next node.
    assert np.abs(density[inner] / exact - 1).max() < 0.2
