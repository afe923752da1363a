"""The curves of what runs are compared by."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from descend.metrics.metric import name_of_test
from descend.output.report.comparison import Comparison
from descend.output.report.summary import RAW, Measure
from descend.statistics.runtimes import expected_runtime

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
