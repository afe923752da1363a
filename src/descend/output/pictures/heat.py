"""The heat map of two swept numbers."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from descend.output.decades import spans_decades
from descend.output.pictures.figure import panel_grid
from descend.output.report.naming import short_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture

Cells = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The values of two numbers, and the result [up, across] at each pair, NaN where there is none."""

MOST_PANELS = 12
MOST_ACROSS = 3


def draw_heat(data: pl.DataFrame, across: str, up: str) -> "Picture":
    """Draw the median result over two numbers, a panel for each objective and choice.

    Args:
        data: a row for each run: the two numbers, `shown` (infinite where it diverged), `label`, `panel` and `line`.
        across, up: the columns of the axes.

    Returns:
        The figure; cells where half of the runs diverged are left white.
    """
    parts = data.partition_by("panel", "line", as_dict=True, maintain_order=True)
    titles = list(parts)[:MOST_PANELS]
    figure, places = panel_grid(len(titles), MOST_ACROSS, each=(4.2, 3.4), margin=(1, 0.6), dpi=100)
    names = short_names([across, up])
    for axes, title in zip(places, titles, strict=True):
        own = parts[title]
        draw_cells(figure, axes, medians(own, across, up), f"{own['label'][0]} at the end, median")
        axes.set(title=" ".join(filter(None, map(str, title))), xlabel=names[across], ylabel=names[up])
    return figure


def draw_cells(figure: "Picture", axes: "Axes", cells: Cells, label: str) -> None:
    """Draw a cell for each pair of numbers: white without a result, by logarithms where results span decades.

    Args:
        cells: what `cells_of` returns.
        label: the label of the colours.
    """
    x, y, heights = cells
    log = spans_decades(heights)
    shown = np.log10(np.where(heights > 0, heights, np.nan)) if log else heights
    shown = np.where(np.isfinite(shown), shown, np.nan)
    # Cividis is read alike by those who see red and green alike.
    image = axes.pcolormesh(np.arange(len(x)), np.arange(len(y)), shown, cmap="cividis", shading="nearest")
    figure.colorbar(image, ax=axes, label=f"log₁₀ {label}" if log else label)
    for side, values in (("x", x), ("y", y)):
        places = np.unique(np.linspace(0, len(values) - 1, min(4, len(values))).astype(int))
        axes.set(**{f"{side}ticks": places, f"{side}ticklabels": [f"{values[i]:.2g}" for i in places]})


def medians(data: pl.DataFrame, across: str, up: str) -> Cells:
    """Return the median result at each pair of two numbers."""
    found = data.group_by(across, up).agg(pl.col("shown").median())
    return cells_of(*(found[column].to_numpy() for column in (across, up, "shown")))


def cells_of(across: np.ndarray, up: np.ndarray, results: np.ndarray) -> Cells:
    """Return the cells of pairs of numbers, each pair with its result, [pairs] each."""
    (x, columns), (y, rows) = (np.unique(values, return_inverse=True) for values in (across, up))
    heights = np.full((len(y), len(x)), np.nan)
    heights[rows, columns] = results
    return x, y, heights
