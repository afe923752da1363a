"""The picture of many runs on one function of two numbers: their paths over the contours of its losses."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from descend.metrics.parameter_values import names
from descend.output.pictures.figure import blank, png
from descend.output.pictures.path import side, surface, window
from descend.types import Loss, Losses, Params

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 4
SIDE = 160
LEVELS = 7
LOSSES = ("tab:blue", "tab:orange", "tab:green", "tab:purple")
PATHS = ("crimson", "black", "darkgreen", "indigo", "saddlebrown", "teal", "deeppink", "dimgray")


def paths_picture(
    losses: Callable[[Params], Losses],
    params: Params,
    panels: Mapping[str, Sequence[np.ndarray]],
    best: Sequence[Sequence[float]] = (),
) -> bytes:
    """Draw a panel for each title: its paths over the contours of every loss, which lie at equal shares of the area.

    Args:
        losses: the named losses at a point.
        params: names, shapes, dtype and device of the two parameters.
        panels: paths by title, each [k, 2].
        best: points [p, 2] of the Pareto set, or minimisers.

    Returns:
        A PNG file.
    """
    marked = np.array(best, dtype=np.float64).reshape(-1, 2)
    points = np.concatenate([path for paths in panels.values() for path in paths])
    each = {name: one(losses, name) for name in losses(params)}
    count = min(SIDE, side(each.values(), params))
    x, y = (np.linspace(low, high, count) for low, high in window(points, marked))
    heights = {name: surface(loss, params, x, y) for name, loss in each.items()}
    across = min(len(panels), ACROSS)
    down = -(-len(panels) // across)
    size = 2.6 if len(panels) > 1 else 5
    figure = blank(size * across, size * down + 0.4, dpi=75)
    places = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flatten()
    for axes, (title, paths) in zip(places, panels.items(), strict=False):
        _draw_contours(axes, x, y, heights)
        _draw_paths(axes, paths, marked, "Pareto set" if len(heights) > 1 else "minimum")
        axes.set(title=title, xlim=x[[0, -1]], ylim=y[[0, -1]])
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    labels = [name.removeprefix("parameter/") for name in names(params)]
    figure.supxlabel(labels[0])
    figure.supylabel(labels[1])
    handles, texts = places[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside upper center", ncols=len(texts), fontsize=8)
    return png(figure)


def one(losses: Callable[[Params], Losses], name: str) -> Loss:
    """Return one of several losses as a function of the parameters."""
    return lambda point: losses(point)[name]


def _draw_contours(axes: "Axes", x: np.ndarray, y: np.ndarray, heights: Mapping[str, np.ndarray]) -> None:
    for (name, height), colour in zip(heights.items(), LOSSES, strict=False):
        finite = height[np.isfinite(height)]
        levels = np.unique(np.quantile(finite, np.linspace(0.02, 0.95, LEVELS))) if finite.size else finite
        if len(levels) > 1:
            axes.contour(x, y, height, levels=levels, colors=colour, linewidths=0.6, alpha=0.6, linestyles="solid")
            axes.plot([], [], color=colour, linewidth=1, label=name)


def _draw_paths(axes: "Axes", paths: Sequence[np.ndarray], best: np.ndarray, label: str) -> None:
    if len(best):
        axes.plot(*best.T, ".", color="gold", markersize=7, label=label)
    for i, path in enumerate(paths):
        colour = PATHS[i % len(PATHS)]
        axes.plot(*path.T, color=colour, linewidth=1.5)
        axes.plot(*path[0], "o", color="white", markeredgecolor=colour, label=None if i else "start")
        axes.plot(*path[-1], "X", color=colour, markeredgecolor="white", markersize=8, label=None if i else "end")
