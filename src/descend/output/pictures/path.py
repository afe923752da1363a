"""The picture of a run on a function of two numbers: its path over the contours."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.func import vmap

from descend.derivatives.flat import unravel
from descend.metrics.parameter_values import names
from descend.output.pictures.figure import blank, png
from descend.records import Records
from descend.types import Loss, Params
from descend.vectors import numel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.contour import ContourSet

SIDE = 320
"""Grid points to a side; the floor of a narrow valley looks broken with fewer than about 300."""
SIDE_POINT_BY_POINT = 100
"""The same where each point is evaluated for itself: it takes a second instead of six."""
FEWEST_POINTS = 3
"""A shorter path tells less than drawing it costs: half a second, most of it importing matplotlib."""
FURTHEST = 20.0
"""A path that runs away is followed to this many times the distance from the start to the nearest minimiser."""
LEVELS = 25


def path_picture(
    loss: Loss,
    params: Params,
    blocks: Iterable[Records],
    minimizers: Sequence[Sequence[float]] = (),
    title: str = "",
) -> bytes | None:
    """Draw the contours of `loss` with the path of a run on them.

    Args:
        loss: the function whose contours are drawn.
        params: names, shapes, dtype and device of the parameters.
        blocks: the records of the run, with the parameters' values.
        minimizers: known global minimisers, marked.
        title: printed above.

    Returns:
        A PNG file; None where the parameters are not two numbers or the path has fewer than three points.
    """
    path = path_of(params, blocks)
    if path is None:
        return None
    targets = np.array(minimizers, dtype=np.float64).reshape(-1, 2)
    count = side([loss], params)
    x, y = (np.linspace(low, high, count) for low, high in window(path, targets))
    heights = surface(loss, params, x, y)
    return _draw(x, y, heights, path, targets, [*names(params), title])


def path_of(params: Params, blocks: Iterable[Records]) -> np.ndarray | None:
    """Return the recorded points of a run of two numbers, [k, 2], or None where there are fewer than three."""
    if numel(params) != 2:
        return None
    blocks = list(blocks)
    path = np.stack([curve(blocks, name) for name in names(params)], axis=1)
    path = path[np.isfinite(path).all(axis=1)]
    return path if len(path) >= FEWEST_POINTS else None


def curve(blocks: Iterable[Records], name: str) -> np.ndarray:
    """Return the values of one name over all blocks, [k]."""
    return np.concatenate([np.empty(0), *(block.scalars[name].values for block in blocks if name in block.scalars)])


def window(path: np.ndarray, targets: np.ndarray) -> list[tuple[float, float]]:
    """Return the lowest and highest coordinate to show on each axis: the path and the minimisers, with a margin."""
    distances = np.hypot(*(path - path[0]).T)
    scale = np.hypot(*(targets - path[0]).T).min(initial=np.inf)
    if not 0 < scale < np.inf:
        scale = np.median(distances)
    points = np.concatenate([path[distances <= FURTHEST * scale], targets])
    low, high = points.min(axis=0), points.max(axis=0)
    spread = high - low
    # A path along one axis still needs some breadth to show the valley it runs in.
    breadth = np.maximum(spread, max(spread.max() / 3, 1e-3 * np.abs(points).max(), 1e-12))
    middle = (low + high) / 2
    return list(zip(middle - 0.62 * breadth, middle + 0.62 * breadth, strict=True))


def side(losses: Iterable[Loss], params: Params) -> int:
    """Return how many points to a side a grid is to have on which all of these losses are evaluated."""
    return SIDE if all(batches(loss, params) for loss in losses) else SIDE_POINT_BY_POINT


def batches(loss: Loss, params: Params) -> bool:
    """Tell whether vmap takes a loss: it refuses control flow that depends on data."""
    like = next(iter(params.values()))
    try:
        with torch.no_grad():
            vmap(at(loss, params))(torch.zeros(1, 2, dtype=like.dtype, device=like.device))
    except RuntimeError:
        return False
    return True


def at(loss: Loss, params: Params) -> Callable[[Tensor], Tensor]:
    """Return the loss as a function of the parameters in one vector."""
    return lambda point: loss(unravel(point, params))


def surface(loss: Loss, params: Params, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the loss over the grid, float64 [len(y), len(x)]: in batches, or point by point where vmap refuses it."""
    like = next(iter(params.values()))
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    points, value = torch.tensor(grid, dtype=like.dtype, device=like.device), at(loss, params)
    with torch.no_grad():
        one_by_one = not batches(loss, params)
        heights = torch.stack([*map(value, points)]) if one_by_one else vmap(value, chunk_size=8192)(points)
    return heights.double().cpu().numpy().reshape(len(y), len(x))


def _draw(
    x: np.ndarray, y: np.ndarray, heights: np.ndarray, path: np.ndarray, targets: np.ndarray, texts: Sequence[str]
) -> bytes:
    figure = blank(6.4, 5.2, dpi=120)
    axes = figure.add_subplot()
    draw_contours(axes, x, y, heights)
    _draw_path(axes, path, targets)
    axes.set(xlim=x[[0, -1]], ylim=y[[0, -1]])
    axes.set_xlabel(texts[0].removeprefix("parameter/"), fontsize=13)
    axes.set_ylabel(texts[1].removeprefix("parameter/"), fontsize=13)
    axes.set_title(texts[2], fontsize=14)
    axes.legend(loc="best", framealpha=0.9, fontsize=11)
    return png(figure)


def draw_contours(axes: "Axes", x: np.ndarray, y: np.ndarray, heights: np.ndarray) -> "ContourSet | None":
    """Fill the axes with levels spaced evenly in the logarithm of the height above the lowest point, and return them.

    So a valley's floor and its walls both show. None where all heights are the same, or none is finite.
    """
    from matplotlib.colors import LogNorm

    finite = heights[np.isfinite(heights)]
    if not finite.size or finite.min() == finite.max():
        return None
    gaps = np.where(np.isfinite(heights), heights, np.inf) - finite.min()
    above = gaps[np.isfinite(gaps) & (gaps > 0)]
    high = np.percentile(above, 99)
    low = max(np.percentile(above, 0.5), high * 1e-6)
    gaps = np.clip(gaps, low, high)
    levels = np.geomspace(low, high, LEVELS)
    filled = axes.contourf(x, y, gaps, levels=levels, norm=LogNorm(low, high), cmap="Blues_r", alpha=0.9)
    axes.contour(x, y, gaps, levels=levels, colors="white", linewidths=0.4, alpha=0.7)
    return filled


def _draw_path(axes: "Axes", path: np.ndarray, targets: np.ndarray) -> None:
    axes.plot(*path.T, color="white", linewidth=2.8, alpha=0.8)
    axes.plot(*path.T, color="crimson", linewidth=1.4, marker=".", markersize=4 if len(path) < 200 else 0)
    if len(targets):
        axes.plot(*targets.T, "*", color="gold", markeredgecolor="black", markersize=17, label="minimum", zorder=3)
    axes.plot(*path[0], "o", color="white", markeredgecolor="black", markersize=9, label="start", zorder=4)
    axes.plot(*path[-1], "X", color="crimson", markeredgecolor="white", markersize=10, label="end", zorder=4)
