"""What the figures of the report show, as plain lists for the page's script."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from descend.output.decades import MANY_DECADES, spans_decades
from descend.output.report.comparison import Comparison
from descend.output.report.methods import Methods
from descend.output.report.naming import short_names
from descend.output.report.summary import all_settings, is_numeric, setting_keys
from descend.statistics.estimates import median_interval
from descend.statistics.pareto import pareto_front
from descend.statistics.tuning import best_of

MOST_LINES = 500
"""Settings in the parallel coordinates: the best half of them, and of the others as many, evenly."""

MOST_TRIALS = 1_000
LEAST_POINTS = 3
BANDS = np.array([0.05, 0.5, 0.95])
HEIGHTS = ("y", "middle", "low", "high")
"""The keys of a line under which its own heights are, and those of its band."""

SEEN = 0.9
"""The share of the numbers of a chart that decide how far its axis reaches."""

DIGITS = 5

Data = dict[str, Any]


def figures_of(
    comparison: Comparison, table: pl.DataFrame, swept: Sequence[str], methods: Methods, bands: pl.DataFrame
) -> Data:
    """Return the data of the figures of one objective.

    Args:
        table: a row for each run of this objective.
        methods: those among the runs of all objectives.
        bands: what `bands_of` returns.
    """
    sign = comparison.measure.sign
    settings = all_settings(table, swept, comparison.measure)
    return {
        "measure": comparison.measure.label,
        "curves": curves_section(comparison, table, methods, bands),
        "coordinates": coordinates_section(settings, swept, sign),
        "losses": losses_section(settings, methods),
        "sensitivity": sensitivity_section(settings, swept, methods, sign),
        "heat": heat_section(settings, swept, sign),
        "tuning": tuning_section(settings, methods, sign),
        "highest": comparison.measure.highest,
    }


def curves_section(comparison: Comparison, table: pl.DataFrame, methods: Methods, bands: pl.DataFrame) -> list[Data]:
    """Return the band of each setting, and what a step of it took in seconds and in gradients."""
    found = []
    styles = methods.styles([row.keys for row in comparison.rows])
    for row, style in zip(comparison.rows, styles, strict=True):
        mine = (pl.col("panel") == comparison.task) & (pl.col("line") == row.name)
        own = bands.filter(mine) if len(bands) else bands
        if len(own):
            runs = table.filter(pl.col("run").is_in(list(row.members)))
            line = {"name": row.name, "style": style, "runs": row.n, "steps": own["step"].to_list()}
            columns = {name: rounded(own[name].to_numpy()) for name in ("middle", "low", "high")}
            each = {"seconds": cost(runs, "seconds"), "evaluations": cost(runs, "evaluations.gradient")}
            found.append({**line, **columns, "each": each})
    return found


def cost(runs: pl.DataFrame, column: str) -> float | None:
    """Return how much of something a step took; None where that is not known."""
    steps = int(runs["steps"].sum() or 0)
    if column not in runs.columns or not steps or runs[column].null_count():
        return None
    each = float(runs[column].sum()) / steps
    return each if math.isfinite(each) else None


def coordinates_section(settings: pl.DataFrame, swept: Sequence[str], sign: int) -> Data:
    """Return all settings as lines over the keys that differ, and how much of the ranks each key explains."""
    keys = [key for key in setting_keys(swept) if settings[key].n_unique() > 1]
    short = short_names(keys)
    shown = spread_out(settings)
    axes = [axis(shown[key], settings[key], short[key]) for key in keys]
    results = rounded(sign * shown["value"].to_numpy())
    return {"axes": axes, "results": results, "importance": importance(settings, keys, short), "all": len(settings)}


def spread_out(settings: pl.DataFrame) -> pl.DataFrame:
    """Return all settings, best first, or of many the best and some of the others."""
    if len(settings) <= MOST_LINES:
        return settings
    half = MOST_LINES // 2
    rest = np.linspace(half, len(settings) - 1, half).astype(int)
    return settings[[*range(half), *rest.tolist()]]


def axis(values: pl.Series, every: pl.Series, name: str) -> Data:
    """Return an axis of the parallel coordinates: numbers, or the places of choices and their names."""
    if is_numeric(every):
        logarithmic = spans_decades(every.cast(pl.Float64).drop_nulls().to_numpy())
        return {"name": name, "values": values.cast(pl.Float64).to_list(), "log": logarithmic, "names": None}
    names = sorted({str(value) for value in every})
    places = {text: i for i, text in enumerate(names)}
    return {"name": name, "values": [places[str(value)] for value in values], "log": False, "names": names}


def importance(settings: pl.DataFrame, keys: Sequence[str], short: Mapping[str, str]) -> list[Data]:
    """Return the share of the variance of the settings' ranks that the means over each key's values make up (η²).

    Ranks, so that one result that nearly diverged is not all of the variance.
    """
    ranks = settings["value"].rank("average").to_numpy()
    if ranks.var() == 0:
        return []
    ranked = settings.select(keys).with_columns(pl.Series("rank", ranks))
    means = {key: ranked.select(pl.col("rank").mean().over(key)).to_series().to_numpy() for key in keys}
    shares = {short[key]: float(found.var() / ranks.var()) for key, found in means.items()}
    return [{"name": name, "share": round(share, 3)} for name, share in sorted(shares.items(), key=lambda x: -x[1])]


def heat_section(settings: pl.DataFrame, swept: Sequence[str], sign: int) -> Data | None:
    """Return the best result over the two numbers of most values; None where there are not two."""
    counts = {key: settings[key].n_unique() for key in setting_keys(swept)}
    numbers = [key for key in counts if is_numeric(settings[key]) and not settings[key].null_count()]
    numbers = sorted((key for key in numbers if counts[key] > 1), key=lambda key: -counts[key])
    if len(numbers) < 2:
        return None
    x, y = numbers[:2]
    short = short_names([x, y])
    best = settings.group_by(x, y).agg(pl.col("value").min()).sort(x, y).cast({x: pl.Float64, y: pl.Float64})
    results = rounded(sign * best["value"].to_numpy())
    cells = [list(cell) for cell in zip(best[x], best[y], results, strict=True)]
    return {"x": short[x], "y": short[y], "cells": cells}


def sensitivity_section(settings: pl.DataFrame, swept: Sequence[str], methods: Methods, sign: int) -> Data | None:
    """Return the best result at each value of one number, a line for each method that was given it.

    Where settings have runs enough, a line has a band from `low` to `high`: the interval of the median.

    Returns:
        None where no number takes three values.
    """
    counts = {key: settings[key].drop_nulls().n_unique() for key in setting_keys(swept)}
    numbers = [key for key in counts if is_numeric(settings[key]) and counts[key] >= LEAST_POINTS]
    if not numbers:
        return None
    key = max(numbers, key=lambda each: counts[each])
    given = settings.drop_nulls(key).with_columns(pl.col(key).cast(pl.Float64))
    lines = []
    for line, own in by_method(given, methods):
        best = own.unique(key, keep="first").sort(key)
        heights = rounded(sign * best["value"].to_numpy())
        lines.append({**line, "x": best[key].to_list(), "y": heights, **band_of(best["results"], sign)})
    logarithmic = spans_decades(given[key].to_numpy())
    return {"name": short_names(list(counts))[key], "log": logarithmic, "lines": lines, "cut": cut_off(lines, sign)}


def band_of(settings: pl.Series, sign: int) -> Data:
    """Return the intervals of the settings' medians as a band; nothing where there is none.

    Args:
        settings: the results of each; those of seeds that change nothing have no interval.
    """
    none = math.nan, math.nan
    ends = [median_interval(np.array(own)) if len(set(own)) > 1 else none for own in settings.to_list()]
    low, high = np.sort(sign * np.array(ends), axis=1).T
    return {"low": rounded(low), "high": rounded(high)} if np.isfinite(low + high).any() else {}


def by_method(settings: pl.DataFrame, methods: Methods) -> list[tuple[Data, pl.DataFrame]]:
    """Return for each method the name and the style of its line, and its settings; the best method first."""
    parts = settings.partition_by(methods.choices, maintain_order=True) if methods.choices else [settings]
    parts = [own for own in parts if len(own)]
    keys = [own.row(0, named=True) for own in parts]
    lines = zip(map(methods.name, keys), methods.styles(keys), parts, strict=True)
    return [({"name": name, "style": style}, own) for name, style, own in lines]


def losses_section(settings: pl.DataFrame, methods: Methods) -> Data | None:
    """Return the settings' medians of the first two losses, by method, and their Pareto front; None of one loss."""
    losses = [name for name in settings.columns if name.startswith("losses.")][:2]
    if len(losses) < 2:
        return None
    x, y = losses
    shown = spread_out(settings).drop_nulls(losses)
    points = shown.select(losses).cast(pl.Float64).to_numpy()
    front = np.unique(points[pareto_front(points)], axis=0)
    series = [
        {**line, "x": rounded(own[x].to_numpy()), "y": rounded(own[y].to_numpy())}
        for line, own in by_method(shown, methods)
    ]
    names = [name.removeprefix("losses.") for name in losses]
    return {"names": names, "series": series, "front": [rounded(front[:, 0]), rounded(front[:, 1])]}


def tuning_section(settings: pl.DataFrame, methods: Methods, sign: int) -> Data:
    """Return for each method the best result against the number of settings tried: median and 5% to 95%."""
    lines = []
    for line, own in by_method(settings, methods):
        if 1 < len(own) <= MOST_TRIALS:
            low, middle, high = (rounded(sign * each) for each in best_of(own["value"].to_numpy(), BANDS))
            steps = list(range(1, len(own) + 1))
            lines.append({**line, "runs": len(own), "steps": steps, "low": low, "middle": middle, "high": high})
    longest = max((len(line["steps"]) for line in lines), default=0)
    return {"lines": lines, "log": longest > MANY_DECADES, "cut": cut_off([doublings(line) for line in lines], sign)}


def doublings(line: Data) -> Data:
    """Return the heights of a line at 1, 2, 4, … settings tried: beyond the first few all are nearly the best."""
    places = [2**i - 1 for i in range(len(line["steps"]).bit_length())]
    return {key: [line[key][place] for place in places] for key in HEIGHTS if key in line}


def cut_off(lines: Sequence[Data], sign: int) -> float | None:
    """Return where the axis is cut off on the side of bad results: what runs away there would squeeze all else.

    Where nine tenths of all numbers would take up less than a quarter of the axis, they get half of it. The axis is in
    decades where the numbers span decades.

    Returns:
        None where nothing is cut off.
    """
    every = np.array([x for line in lines for key in HEIGHTS for x in line.get(key, ())], np.float64)
    finite = every[np.isfinite(every)]
    decades = spans_decades(finite)
    heights = sign * (np.log10(finite) if decades else finite)
    if not heights.size:
        return None
    best, most = np.quantile(heights, [0, SEEN], method="lower").tolist()
    if most == best or heights.max() - best <= 4 * (most - best):
        return None
    end = sign * (2 * most - best)
    return 10**end if decades else end


def rounded(values: np.ndarray) -> list[float | None]:
    """Return numbers to five digits, which is more than a picture shows; None for those that are not finite."""
    found = [float(f"{x:.{DIGITS}g}") for x in values.tolist()]
    return [x if math.isfinite(x) else None for x in found]
