"""The curves of what runs are compared by."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from descend.metrics.metric import name_of_test
from descend.output.report.comparison import Comparison
from descend.output.report.summary import RAW, Measure
from descend.statistics.runtimes import expected_runtime

MOST_POINTS = 200

RECORDED = {"value": "value", "best_value": "value", "gradient_norm": "gradient/norm"}


def recorded_as(measure: Measure) -> pl.Expr | None:
    """Return which records are the curve of a measure; None where it has none (seconds, say)."""
    kind, _, name = measure.column.partition(".")
    if measure.column == RAW:
        return pl.col("name").str.starts_with("loss/")
    if kind == "losses":
        return pl.col("name") == f"loss/{name}"
    if kind == "metrics":
        return pl.col("name") == name_of_test(name)
    return pl.col("name") == RECORDED[measure.column] if measure.column in RECORDED else None


def curves_of(curves: pl.LazyFrame, measure: Measure, runs: Sequence[int]) -> pl.DataFrame:
    """Return the curve of a measure of some runs: run, step, value; several losses are added up.

    Returns:
        No rows where it was not recorded.
    """
    wanted = recorded_as(measure)
    if wanted is None:
        return pl.DataFrame(schema={"run": pl.Int64, "step": pl.Int64, "value": pl.Float64})
    rows = curves.filter(wanted & pl.col("run").is_in(list(runs)))
    return rows.group_by("run", "step").agg(pl.col("value").sum()).sort("run", "step").collect()


def with_target(comparison: Comparison, table: pl.DataFrame, curves: pl.LazyFrame, target: float) -> Comparison:
    """Return a comparison that says of each setting how many runs reached a target, and the expected runtime.

    Args:
        table: a row for each run.
        curves: run, step, name, value.
        target: of the measure.
    """
    measure = comparison.measure
    members = [run for row in comparison.rows for run in row.members]
    found = curves_of(curves, measure, members)
    if not len(found):
        return with_note(
            comparison, f"no curve of {measure.label} was recorded, so no run is known to reach {target:g}"
        )
    there = found.filter(pl.col("value") * measure.sign <= target * measure.sign)
    hits = dict(there.group_by("run").agg(pl.col("step").min()).iter_rows())
    steps = dict(table.select("run", "steps").iter_rows())
    rows = []
    for row in comparison.rows:
        own = np.array([hits.get(run, np.inf) for run in row.members])
        lengths = np.array([steps[run] or 0 for run in row.members], np.float64)
        rows.append(replace(row, reached=int(np.isfinite(own).sum()), ert=expected_runtime(own, lengths)))
    reached = replace(comparison, rows=tuple(rows))
    if hits:
        return reached
    finite = found["value"].to_numpy()
    best = measure.sign * np.min(measure.sign * finite, where=np.isfinite(finite), initial=np.inf)
    return with_note(reached, f"no run reached {measure.label} {target:g}; the best was {best:.6g}")


def with_note(comparison: Comparison, note: str) -> Comparison:
    """Return a comparison with one note more, before all others."""
    return replace(comparison, notes=(note, *comparison.notes))


def bands_of(comparisons: Sequence[Comparison], curves: pl.LazyFrame, points: int = MOST_POINTS) -> pl.DataFrame:
    """Return the curves of the settings that are compared, over their runs.

    Args:
        comparisons: one for each objective.
        curves: run, step, name, value.
        points: steps of a curve at most, evenly spaced.

    Returns:
        Columns: panel (the objective), line (the setting), run (its best), label (what is measured), step, middle (the
        median of the runs), low and high (their quartiles), runs (how many are still going). No rows where nothing was
        recorded.
    """
    parts = [own for comparison in comparisons for own in bands_of_one(comparison, curves, points)]
    return pl.concat(parts) if parts else pl.DataFrame()


def bands_of_one(comparison: Comparison, curves: pl.LazyFrame, points: int) -> Iterator[pl.DataFrame]:
    """Yield the band of each setting of one objective."""
    names = {run: row.name for row in comparison.rows for run in row.members}
    found = curves_of(curves, comparison.measure, list(names))
    if not len(found):
        return
    steps = found["step"].unique().sort()
    kept = steps.gather(np.unique(np.linspace(0, len(steps) - 1, min(points, len(steps))).astype(int)))
    found = found.filter(pl.col("step").is_in(kept.implode()) & pl.col("value").is_finite())
    lines = pl.DataFrame({"run": list(names), "line": list(names.values())})
    value = pl.col("value")
    bands = (
        found.join(lines, on="run")
        .group_by("line", "step")
        .agg(
            value.median().alias("middle"),
            value.quantile(0.25).alias("low"),
            value.quantile(0.75).alias("high"),
            pl.len().alias("runs"),
        )
        .sort("step")
    )
    for row in comparison.rows:
        own = bands.filter(pl.col("line") == row.name)
        title = pl.lit(comparison.task).alias("panel"), pl.lit(comparison.measure.label).alias("label")
        yield own.select(*title, "line", pl.lit(row.run).alias("run"), "step", "middle", "low", "high", "runs")
