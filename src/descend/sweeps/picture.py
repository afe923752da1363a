"""The picture of a sweep: the value a run ended with against the number that was swept."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

LEAST_POINTS = 3


def sweep_picture(table: pl.DataFrame, swept: Sequence[str]) -> bytes | None:
    """Draw value against the swept number with the most values, one line for each setting of the keys that are text.

    The line is the median over all other numbers (seeds, say), the band their lowest and highest; a cross marks
    numbers at which a run diverged or failed.

    Returns:
        A PNG file; None where no number takes at least three values.
    """
    numbers = {key: table[key].cast(pl.Float64, strict=False) for key in swept if key != "seed"}
    numbers = {key: x for key, x in numbers.items() if x.null_count() == 0 and x.n_unique() >= LEAST_POINTS}
    if not numbers:
        return None
    axis = max(numbers, key=lambda key: numbers[key].n_unique())
    texts = [key for key in swept if key not in numbers and key != "seed"]
    data = table.with_columns(
        numbers[axis].alias("axis"), pl.concat_str([pl.lit(""), *texts], separator=" ").alias("line")
    )
    return _draw(data, axis)


def _draw(data: pl.DataFrame, axis: str) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for line in data["line"].unique(maintain_order=True):
        _line(axes, data.filter(pl.col("line") == line), line.strip())
    values = data["value"].drop_nulls().to_numpy()
    if len(values) and values.min() > 0 and values.max() / values.min() > 20:
        axes.set_yscale("log")
    if _spread_by_factors(data["axis"].to_numpy()):
        axes.set_xscale("log")
    axes.set(xlabel=axis, ylabel="value at the end")
    axes.grid(alpha=0.3)
    if data["line"].n_unique() > 1:
        axes.legend(fontsize=8)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _line(axes: Any, data: pl.DataFrame, label: str) -> None:
    """Draw one setting: median line, band, crosses."""
    good = data.filter(pl.col("value").is_not_null() & ~pl.col("status").is_in(["diverged", "failed"]))
    value = pl.col("value")
    curve = (
        good.group_by("axis")
        .agg(value.median().alias("middle"), value.min().alias("low"), value.max().alias("high"))
        .sort("axis")
    )
    (drawn,) = axes.plot(curve["axis"], curve["middle"], marker=".", label=label or None)
    axes.fill_between(curve["axis"], curve["low"], curve["high"], alpha=0.2, color=drawn.get_color(), linewidth=0)
    bad = data.filter(pl.col("status").is_in(["diverged", "failed"]))["axis"].unique()
    axes.plot(
        bad, np.full(len(bad), 0.99), "x", transform=axes.get_xaxis_transform(), color=drawn.get_color(), markersize=5
    )


def _spread_by_factors(x: np.ndarray) -> bool:
    return x.min() > 0 and x.max() / x.min() > 20
