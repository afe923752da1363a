"""The picture of a density of eigenvalues over a run."""

from collections.abc import Iterable

import numpy as np

from descend.output.pictures.figure import blank, png
from descend.records import Records

NAME = "curvature/density"
MOST = 6
"""Lines that can still be told apart."""
SMOOTH = 2.0
"""Bins: as far as the nodes of 30 steps of Lanczos lie apart in 64 bins, so that no ripple of theirs is left."""
POINTS = 400


def smoothed(rights: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a histogram smoothed by a Gaussian: where, [points], and how many eigenvalues in a bin's width there.

    The estimate is of some tens of nodes, each with a weight, so that most bins between them are empty; a Gaussian of
    `SMOOTH` bins around each shows the density that they stand for (Ghorbani, Krishnan & Xiao 2019, section 2.1).

    Args:
        rights: right edges of bins of one width, [bins].
        counts: how many eigenvalues lie in each, [bins].
    """
    width = (rights[-1] - rights[0]) / max(1, len(rights) - 1) or 1.0
    middles, deviation = rights - width / 2, SMOOTH * width
    where = np.linspace(middles[0] - 4 * deviation, middles[-1] + 4 * deviation, POINTS)
    bells = np.exp(-(((where[:, None] - middles) / deviation) ** 2) / 2) / (SMOOTH * np.sqrt(2 * np.pi))
    return where, bells @ counts


def spectrum_picture(blocks: Iterable[Records], title: str = "") -> bytes | None:
    """Draw how dense the eigenvalues lie, smoothed, at up to six events from the first to the last.

    Args:
        blocks: the records of the run, with histograms `curvature/density`.
        title: printed above.

    Returns:
        A PNG file; None where there are no such records.
    """
    events = [
        (step, histogram)
        for block in blocks
        if NAME in block.histograms
        for step, histogram in zip(*block.histograms[NAME], strict=True)
    ]
    if not events:
        return None
    from matplotlib import colormaps

    figure = blank(6.4, 4.2, dpi=110)
    axes = figure.add_subplot()
    chosen = np.unique(np.linspace(0, len(events) - 1, min(MOST, len(events))).round().astype(int))
    for i in chosen:
        step, (edges, counts) = events[i]
        colour = colormaps["viridis"](0.9 * i / max(1, len(events) - 1))
        axes.plot(*smoothed(edges, counts), color=colour, linewidth=1.6, label=f"step {step:,}")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set(xlabel="eigenvalue", ylabel="how many in a bin's width", title=title)
    axes.legend()
    return png(figure)
