"""The picture of a density of eigenvalues over a run."""

from collections.abc import Iterable

import numpy as np

from descend.output.pictures.figure import blank, png
from descend.records import Records

NAME = "curvature/density"
MOST = 6
"""Lines that can still be told apart."""


def spectrum_picture(blocks: Iterable[Records], title: str = "") -> bytes | None:
    """Draw how many eigenvalues lie where, at up to six events from the first to the last.

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
        width = (edges[-1] - edges[0]) / max(1, len(edges) - 1) or 1.0
        bounds = np.concatenate([[edges[0] - width], edges])
        colour = colormaps["viridis"](0.9 * i / max(1, len(events) - 1))
        axes.stairs(counts, bounds, color=colour, linewidth=1.6, label=f"step {step:,}")
    axes.set(yscale="symlog", xlabel="eigenvalue", ylabel="how many in a bin", title=title)
    axes.legend()
    return png(figure)
