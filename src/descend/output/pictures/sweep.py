"""The picture of a sweep: the value a run ended with against the number that was swept."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from descend.output.pictures.figure import blank, png
from descend.output.report.summary import is_numeric, rank_column, with_rank

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST_POINTS = 3
MOST_ACROSS = 2
MANY_DECADES = 20
"""An axis whose values span a larger factor than this is logarithmic."""
TOO_HIGH = 10


def sweep_picture(table: pl.DataFrame, swept: Sequence[str]) -> bytes | None:
    """Draw what runs are compared by against the number with the most values: panels by objective, lines by choice.

    The line is the median over all other numbers (seeds, say), the band their quartiles, a run that diverged or failed
    counting as infinite: so a line ends where half of the runs do. A cross marks numbers at which any did.

    Returns:
        A PNG file; None where no number takes at least three values.
    """
    numbers = [key for key in swept if key != "seed" and is_numeric(table[key])]
    counts = {key: table[key].n_unique() for key in numbers}
    if max(counts.values(), default=0) < LEAST_POINTS:
        return None
    axis = max(counts, key=lambda key: counts[key])
    lines = [key for key in swept if key not in (*numbers, "seed", "objective")]
    data = with_rank(table).with_columns(
        pl.col(axis).cast(pl.Float64).alias("axis"),
        pl.concat_str([pl.lit(""), *lines], separator=" ").str.strip_chars().alias("line"),
        (pl.col("objective") if "objective" in swept else pl.lit("")).alias("panel"),
    )
    return _draw(data, axis, rank_column(table).replace("_", " "))


def _draw(data: pl.DataFrame, axis: str, label: str) -> bytes:
    panels = data["panel"].unique(maintain_order=True)
    across = min(len(panels), MOST_ACROSS)
    down = -(-len(panels) // across)
    figure = blank(2 + 5 * across, 1 + 3.7 * down, dpi=100)
    places = figure.subplots(down, across, squeeze=False).flatten()
    for axes, panel in zip(places, panels, strict=False):
        _panel(axes, data.filter(pl.col("panel") == panel), data["line"].unique(maintain_order=True).to_list())
        axes.set(title=panel, xlabel=axis, ylabel=f"{label} at the end")
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    if data["line"].n_unique() > 1:
        figure.legend(*places[0].get_legend_handles_labels(), loc="outside right upper", fontsize=8)
    return png(figure)


def _panel(axes: "Axes", data: pl.DataFrame, lines: list[str]) -> None:
    """Draw the settings of one objective: median line, band, crosses; a line has the same colour in every panel."""
    import matplotlib

    colours = matplotlib.colormaps["tab10" if len(lines) <= 10 else "tab20"]
    middles: list[float] = []
    for i, line in enumerate(lines):
        own, colour = data.filter(pl.col("line") == line), colours(i % colours.N)
        value = pl.col("ranked")
        curve = own.group_by("axis").agg(
            value.median(), value.quantile(0.25).alias("low"), value.quantile(0.75).alias("high")
        )
        curve = curve.sort("axis").with_columns(pl.col("ranked", "low", "high").replace(float("inf"), None))
        axes.plot(curve["axis"], curve["ranked"], marker=".", markersize=4, label=line or None, color=colour)
        axes.fill_between(curve["axis"], curve["low"], curve["high"], alpha=0.2, color=colour, linewidth=0)
        middles += curve["ranked"].drop_nulls().to_list()
        bad = own.filter(value.is_infinite())["axis"].unique()
        height = np.full(len(bad), 0.99 - 0.015 * i)
        axes.plot(bad, height, "x", transform=axes.get_xaxis_transform(), color=colour, markersize=4)
    if _spread(np.array(middles)):
        axes.set_yscale("log")
        highest = TOO_HIGH * np.quantile(middles, 0.95)
        if max(middles) > highest:  # what is about to diverge would leave no room for the rest
            axes.set_ylim(top=highest)
    if _spread(data["axis"].to_numpy()):
        axes.set_xscale("log")
    axes.grid(alpha=0.3)


def _spread(values: np.ndarray) -> bool:
    """Tell whether values are positive and span a large factor."""
    return len(values) > 0 and values.min() > 0 and values.max() / values.min() > MANY_DECADES
