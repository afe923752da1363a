"""The picture of a sweep: the value a run ended with against the numbers that were swept, or the curves of choices."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from descend.output.decades import decades_above_zero, spans_decades
from descend.output.pictures.figure import LineStyle, panel_grid, png
from descend.output.pictures.heat import draw_heat
from descend.output.report.methods import Methods
from descend.output.report.naming import called, short_names
from descend.output.report.summary import is_numeric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture

LEAST_POINTS = 3
MOST_LINES = 6
"""A second number of more values than this is an axis of a heat map, of fewer a line for each."""

LAID_OUT: dict[str, Any] = {"most": 2, "each": (5, 3.7), "margin": (2, 1), "dpi": 100}
TOO_HIGH = 10
MARGIN = 0.8


def sweep_picture(ranked: pl.DataFrame, swept: Sequence[str], bands: pl.DataFrame | None = None) -> bytes | None:
    """Return what `sweep_figure` draws as a PNG file; None where there is nothing to draw."""
    figure = sweep_figure(ranked, swept, bands)
    return None if figure is None else png(figure)


def sweep_figure(ranked: pl.DataFrame, swept: Sequence[str], bands: pl.DataFrame | None = None) -> "Picture | None":
    """Draw what runs are compared by against the numbers that were swept: panels by objective, lines by method.

    The line is the median over seeds and over the numbers that are not shown, the band their quartiles, a run that
    diverged or failed counting as infinite: so a line ends where half of the runs do. A cross marks numbers at which
    any did. Two numbers of many values are a heat map of the medians, a panel for each choice. A method has the colour
    that it has in the report.

    Args:
        ranked: what `ranked_runs` returns.
        swept: the keys by which the runs differ.
        bands: what `bands_of` returns; drawn where no number takes at least three values.

    Returns:
        None where there is nothing to draw.
    """
    methods = Methods.of(ranked, swept)
    numbers = [key for key in swept if key != "seed" and is_numeric(ranked[key])]
    counts = {key: ranked[key].drop_nulls().n_unique() for key in numbers}
    axes = sorted(numbers, key=lambda key: -counts[key])[:2]
    if not axes or counts[axes[0]] < LEAST_POINTS:
        return None if bands is None else _draw_bands(bands, ranked, methods)
    two = len(axes) == 2 and counts[axes[1]] > MOST_LINES and not ranked.select(axes).null_count().row(0)[1]
    elsewhere = (*axes[: 1 + two], "seed", "objective")
    lines = [key for key in swept if key not in elsewhere and has_lines(key, numbers, counts)]
    named = with_names(ranked.drop_nulls(axes[0]).sort("run"), lines, "line")
    data = named.with_columns(pl.col(axes).cast(pl.Float64)).with_columns(pl.col(axes[0]).alias("axis"))
    return draw_heat(data, axes[0], axes[1]) if two else _draw(data, short_names(axes)[axes[0]], methods)


def has_lines(key: str, numbers: Sequence[str], counts: dict[str, int]) -> bool:
    """Tell whether a key has a line for each of its values: a choice, or a number of few."""
    return key not in numbers or counts[key] <= MOST_LINES


def with_names(table: pl.DataFrame, keys: Sequence[str], column: str) -> pl.DataFrame:
    """Add a column with what the settings of each run are called."""
    if not keys:
        return table.with_columns(pl.lit("").alias(column))
    known = table.select(keys).unique(maintain_order=True)
    names = [called(dict(zip(keys, row, strict=True))) for row in known.iter_rows()]
    named = known.with_columns(pl.Series(column, names))
    return table.join(named, on=list(keys), how="left", nulls_equal=True, maintain_order="left")


def styles_of(lines: pl.DataFrame, methods: Methods) -> dict[str, LineStyle]:
    """Return the style of each line by its name.

    Args:
        lines: a column `line`, and the swept keys.
    """
    first = lines.unique("line", keep="first", maintain_order=True)
    return dict(zip(first["line"], methods.styles(first.to_dicts()), strict=True))


def add_legend(figure: "Picture", places: Sequence["Axes"]) -> None:
    """Name the lines of all panels, each once."""
    named = {str(line.get_label()): line for axes in places for line in axes.get_legend_handles_labels()[0]}
    figure.legend(list(named.values()), list(named), loc="outside right upper", fontsize=8)


def _draw(data: pl.DataFrame, axis: str, methods: Methods) -> "Picture":
    titles, styles = data["panel"].unique(maintain_order=True), styles_of(data, methods)
    figure, places = panel_grid(len(titles), **LAID_OUT)
    for axes, panel in zip(places, titles, strict=True):
        own = data.filter(pl.col("panel") == panel)
        _panel(axes, own, styles)
        axes.set(title=panel, xlabel=axis, ylabel=f"{own['label'][0]} at the end")
    if len(styles) > 1:
        add_legend(figure, places)
    figure.supxlabel("line: median, band: quartiles, cross: some diverged", fontsize=7, color="gray")
    return figure


def _panel(axes: "Axes", data: pl.DataFrame, styles: Mapping[str, LineStyle]) -> None:
    """Draw the settings of one objective: median line, band, crosses; a line has the same style in every panel."""
    middles, lowest = list[float](), list[float]()
    for i, (line, style) in enumerate(styles.items()):
        own, colour = data.filter(pl.col("line") == line), style.drawn["color"]
        value = pl.col("shown")
        curve = own.group_by("axis").agg(
            value.median(), value.quantile(0.25).alias("low"), value.quantile(0.75).alias("high")
        )
        curve = curve.sort("axis").with_columns(finite_or_null("shown", "low", "high"))
        axes.plot(curve["axis"], curve["shown"], marker=".", markersize=4, label=line or None, **style.drawn)
        axes.fill_between(curve["axis"], curve["low"], curve["high"], alpha=0.2, color=colour, linewidth=0)
        middles += curve["shown"].drop_nulls().to_list()
        lowest += curve["low"].drop_nulls().to_list()
        bad = own.filter(value.is_infinite())["axis"].unique()
        height = np.full(len(bad), 0.99 - 0.015 * i)
        axes.plot(bad, height, "x", transform=axes.get_xaxis_transform(), color=colour, markersize=4)
    if decades_above_zero(np.array(middles, np.float64)):
        axes.set_yscale("log")
        highest = TOO_HIGH * np.quantile(middles, 0.95)
        if max(middles) > highest:  # what is about to diverge would leave no room for the rest
            axes.set_ylim(MARGIN * min(x for x in [*lowest, *middles] if x > 0), highest)
    if spans_decades(data["axis"].to_numpy()):
        axes.set_xscale("log")
    axes.grid(alpha=0.3)


def finite_or_null(*columns: str) -> pl.Expr:
    """Return columns with null for numbers that are not finite."""
    return pl.when(pl.col(*columns).is_finite()).then(pl.col(*columns))


def _draw_bands(bands: pl.DataFrame, ranked: pl.DataFrame, methods: Methods) -> "Picture | None":
    """Draw the curves of settings over steps: panels by objective, the median of the seeds with quartiles."""
    if not len(bands):
        return None
    titles = bands["panel"].unique(maintain_order=True)
    settings = ranked.select("run", *methods.choices)
    figure, places = panel_grid(len(titles), **LAID_OUT)
    for axes, panel in zip(places, titles, strict=True):
        own = bands.filter(pl.col("panel") == panel)
        for line, style in styles_of(own.join(settings, on="run", maintain_order="left"), methods).items():
            curve, colour = own.filter(pl.col("line") == line), style.drawn["color"]
            axes.plot(curve["step"], curve["middle"], label=line, linewidth=1.2, **style.drawn)
            axes.fill_between(curve["step"], curve["low"], curve["high"], color=colour, alpha=0.2, linewidth=0)
        if spans_decades(own["middle"].to_numpy()):
            axes.set_yscale("log")
        axes.set(title=panel, xlabel="step", ylabel=own["label"][0])
        axes.grid(alpha=0.3)
    add_legend(figure, places)
    figure.supxlabel("line: median of the seeds, band: quartiles", fontsize=7, color="gray")
    return figure
