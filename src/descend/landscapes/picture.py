"""The picture of a landscape: the contours of the loss over a plane, with the paths of runs."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from descend.landscapes.track import Track
from descend.output.pictures.figure import blank
from descend.output.pictures.path import draw_contours
from descend.output.pictures.paths import PATHS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture

ACROSS = 100
"""The most characters in a line above the picture."""


def landscape_figure(
    across: np.ndarray,
    up: np.ndarray,
    heights: np.ndarray,
    tracks: Mapping[str, Track],
    labels: Sequence[str],
    title: Sequence[str],
) -> "Picture":
    """Draw the loss over a plane.

    Args:
        across, up: the coordinates of the grid.
        heights: the loss, [up, across].
        tracks: the paths of runs by name.
        labels: the labels of the two axes.
        title: the lines above the picture.
    """
    figure = blank(8.0, 6.4, dpi=100)
    axes = figure.add_subplot()
    levels = draw_contours(axes, across, up, heights)
    if levels is not None:
        lowest = heights[np.isfinite(heights)].min()
        figure.colorbar(levels, ax=axes, format="%.3g", label=f"loss above the lowest here, {lowest:.4g}")
    for i, (name, track) in enumerate(tracks.items()):
        _draw_track(axes, track, PATHS[i % len(PATHS)], name if len(tracks) > 1 else "")
    axes.set(xlim=across[[0, -1]], ylim=up[[0, -1]], xlabel=labels[0], ylabel=labels[1])
    axes.set_title("\n".join(line for text in title for line in wrap(text, ACROSS)), fontsize=9)
    axes.legend(loc="best", framealpha=0.9, fontsize=9)
    return figure


def _draw_track(axes: "Axes", track: Track, colour: str, name: str) -> None:
    """Draw a path with its start and its end; the end has the name of the run, if there is one."""
    x, y = track.coordinates.T
    if len(x) > 1:
        axes.plot(x, y, color="white", linewidth=2.8, alpha=0.8)
        axes.plot(x, y, color=colour, linewidth=1.4, marker=".", markersize=4)
        start = "start" if not name else None
        axes.plot(x[0], y[0], "o", color="white", markeredgecolor=colour, markersize=8, label=start, zorder=4)
    end = f"end of {name}" if name else "end"
    axes.plot(x[-1], y[-1], "X", color=colour, markeredgecolor="white", markersize=10, label=end, zorder=4)
