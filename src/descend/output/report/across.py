"""Methods over several objectives: runtimes to targets, and profiles."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from descend.output.pictures.figure import nth_style
from descend.output.report.comparison import Comparison
from descend.output.report.curves import curves_of
from descend.output.report.methods import Methods
from descend.output.report.runs import Runs
from descend.output.report.sections import Data
from descend.statistics.profiles import algoperf_score, data_profile, performance_profile
from descend.statistics.runtimes import expected_runtime, first_hits, share_within, simulated_restarts

TARGETS = np.logspace(0, -4, 21)[1:]
"""The targets, as the part that is left of the way from the start to the best value of any run: down to 1/10,000."""

DRAWS = 100
POINTS = 60
SIZE = "provenance.parameters"
MOST_FACTOR = 100.0


@dataclass(frozen=True)
class Hits:
    """How the runs of one method reached the targets of one objective, counted in points that a run evaluated.

    Attributes:
        reached: points until each target, infinite where it was not reached, [runs, targets].
        lengths: all points of each run, [runs].
        work: the cost of a point in function values, [runs]; NaN where it is not known.
    """

    reached: np.ndarray
    lengths: np.ndarray
    work: np.ndarray


def across_section(comparisons: Sequence[Comparison], runs: Runs) -> dict[str, Any] | None:
    """Return the ECDF of runtimes and the profiles of the methods that every objective has.

    A method is a combination of choices (an optimizer, say), with its best setting on each objective. Each target of
    each objective is a problem. The cost of a problem is the number of steps that restarts take; for the data profile
    it is their work, the function values that the same derivatives would take by differences.

    Returns:
        None where there are fewer than two objectives or methods, or no curves. The data profile is empty where the
        work of a run is not known.
    """
    known = runs.methods
    reached = [hits_of(each, runs, known) for each in comparisons]
    methods = [name for name in (reached[0] if reached else {}) if all(name in each for each in reached)]
    if len(comparisons) < 2 or len(methods) < 2:
        return None
    restarts = {name: np.stack([restarts_of(each[name]) for each in reached]) for name in methods}
    costs = np.array([np.concatenate([costs_of(each[name]) for each in reached]) for name in methods])
    work = np.array([np.concatenate([costs_of(each[name], work=True) for each in reached]) for name in methods])
    sizes = np.repeat([dimension_of(runs.table, each) for each in comparisons], len(TARGETS))
    longest = max(float(hits.lengths.max()) for each in reached for hits in each.values())
    budgets = np.unique(np.logspace(0, np.log10(10 * longest), POINTS).round())
    factors = np.logspace(0, np.log10(MOST_FACTOR), POINTS)
    lines = [{"name": name, "style": nth_style(known.places[name])} for name in methods]
    return {
        "problems": costs.shape[1],
        "methods": method_rows(methods, costs, work, sizes),
        "ecdf": chart_lines(lines, budgets, [share_within(restarts[name], budgets) for name in methods]),
        "profile": chart_lines(lines, factors, performance_profile(costs, factors)),
        "data": data_lines(lines, work, sizes),
    }


def method_rows(methods: Sequence[str], costs: np.ndarray, work: np.ndarray, sizes: np.ndarray) -> list[dict[str, Any]]:
    """Return for each method its score, the share of targets that it reached, and the gradients until half of them.

    Args:
        costs: steps until each target, [methods, problems].
        work, sizes: see `data_lines`.
    """
    half = np.sort(work / (sizes + 1), axis=1)[:, (work.shape[1] - 1) // 2]
    rows = zip(methods, algoperf_score(costs), np.isfinite(costs).mean(axis=1), half, strict=True)
    return [
        {"name": name, "score": float(score), "reached": float(share), "half": float(x) if np.isfinite(x) else None}
        for name, score, share, x in rows
    ]


def data_lines(lines: Sequence[Data], work: np.ndarray, sizes: np.ndarray) -> list[Data]:
    """Return the data profile of each method; none where work or sizes are not known.

    Args:
        lines: the name and the style of each method.
        work: function values until each target, [methods, problems]; NaN where they are not known.
        sizes: how many numbers a run optimizes, [problems]; NaN where that is not known.
    """
    gradients = work / (sizes + 1)
    if np.isnan(gradients).any():
        return []
    budgets = np.geomspace(1.0, gradients.max(where=np.isfinite(gradients), initial=10.0), POINTS)
    return chart_lines(lines, budgets, data_profile(work, sizes, budgets))


def chart_lines(lines: Sequence[Data], x: np.ndarray, heights: Iterable[np.ndarray]) -> list[Data]:
    """Return the line of each method in a chart; each line has one height for each x."""
    across = x.round(3).tolist()
    return [{**line, "x": across, "y": y.round(4).tolist()} for line, y in zip(lines, heights, strict=True)]


def hits_of(comparison: Comparison, runs: Runs, methods: Methods) -> dict[str, Hits]:
    """Return when the runs of each method first reached each target of one objective, by the method's name."""
    sign = comparison.measure.sign
    members = {run for row in comparison.rows for run in row.members}
    found = curves_of(runs.curves, comparison.measure, sorted(members)).filter(pl.col("value").is_finite())
    if not len(found):
        return {}
    values = sign * found["value"].to_numpy()
    first = found.group_by("run").agg(pl.col("value").sort_by("step").first())
    start = float(np.median(sign * first["value"].to_numpy()))
    targets = values.min() * (1 - TARGETS) + start * TARGETS
    parts: Mapping[Any, pl.DataFrame] = found.partition_by("run", as_dict=True)
    lengths, work = dict(runs.table.select("run", "steps").iter_rows()), work_of(runs.table)
    hits: dict[str, Hits] = {}
    for row in comparison.rows:
        own = [(run, parts[(run,)]) for run in row.members if (run,) in parts]
        if own:
            reached = [first_hits(*spent_and_values(part, sign), targets) for _, part in own]
            spent = [float(lengths[run] or 0) + 1 for run, _ in own]
            each = Hits(np.array(reached), np.array(spent), np.array([work[run] for run, _ in own]))
            hits.setdefault(methods.name(row.keys), each)
    return hits


def spent_and_values(curve: pl.DataFrame, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the evaluations spent at each point of a run's curve, and the value there, of which the lowest is best.

    The start counts as an evaluation like every step, so that no runtime is 0.
    """
    return curve["step"].to_numpy() + 1.0, sign * curve["value"].to_numpy()


def restarts_of(hits: Hits) -> np.ndarray:
    """Return what simulated restarts spend on each target, [targets, draws]."""
    return np.stack([simulated_restarts(column, hits.lengths, DRAWS) for column in hits.reached.T])


def costs_of(hits: Hits, work: bool = False) -> np.ndarray:
    """Return the expected runtime to each target, [targets]: in points, or in function values."""
    each = hits.work if work else np.ones(len(hits.lengths))
    return np.array([expected_runtime(column * each, hits.lengths * each) for column in hits.reached.T])


def work_of(table: pl.DataFrame) -> dict[int, float]:
    """Return the cost of a point of each run in function values, as if by differences; NaN where it is not known.

    By differences, a gradient of n numbers with the value takes n + 1 function values, a product with the Hessian one
    more gradient, and a Hessian n more.
    """
    names = [SIZE, *(f"evaluations.{name}" for name in ("function", "gradient", "hvp", "hessian"))]
    if not {"steps", *names} <= set(table.columns):
        return dict.fromkeys(table["run"], math.nan)
    n, function, gradient, hvp, hessian = (pl.col(name).cast(pl.Float64) for name in names)
    values = (n + 1) * (gradient + hvp + n * hessian) + (function - gradient)
    found = table.select("run", (values / (pl.col("steps") + 1)).fill_null(math.nan).alias("work"))
    return dict(found.iter_rows())


def dimension_of(table: pl.DataFrame, comparison: Comparison) -> float:
    """Return how many numbers the runs of an objective optimize; NaN where that is not known, or differs."""
    members = [run for row in comparison.rows for run in row.members]
    if SIZE not in table.columns:
        return math.nan
    sizes = table.filter(pl.col("run").is_in(members))[SIZE].unique()
    return float(sizes[0]) if len(sizes) == 1 and sizes[0] is not None else math.nan
