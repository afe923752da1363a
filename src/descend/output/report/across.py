"""Methods over several objectives: runtimes to targets, and profiles."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from descend.output.report.comparison import Comparison
from descend.output.report.curves import curves_of
from descend.output.report.naming import called
from descend.output.report.runs import Runs
from descend.output.report.summary import choice_keys, setting_keys
from descend.statistics.profiles import algoperf_score, performance_profile
from descend.statistics.runtimes import expected_runtime, first_hits, share_within, simulated_restarts

TARGETS = np.logspace(0, -4, 21)[1:]
"""Of the way from the start to the best value that any run found: what may be left, down to a ten-thousandth."""

DRAWS = 100
POINTS = 60
MOST_FACTOR = 100.0

Hits = dict[str, tuple[np.ndarray, np.ndarray]]
"""By a method's name: steps to each target [runs, targets], and all steps of each run [runs]."""


def across_section(comparisons: Sequence[Comparison], runs: Runs) -> dict[str, Any] | None:
    """Return the ECDF of runtimes and the performance profile of the methods that every objective has.

    A method is a combination of choices (an optimizer, say), by its best setting on each objective. Each target of each
    objective is a problem; what a method spends on it are the steps that restarts take.

    Returns:
        None where there are fewer than two objectives or methods, or no curves.
    """
    reached = [hits_of(each, runs) for each in comparisons]
    methods = [name for name in (reached[0] if reached else {}) if all(name in each for each in reached)]
    if len(comparisons) < 2 or len(methods) < 2:
        return None
    restarts = {name: np.stack([restarts_of(*each[name]) for each in reached]) for name in methods}
    costs = np.array([np.concatenate([costs_of(*each[name]) for each in reached]) for name in methods])
    longest = max(float(lengths.max()) for each in reached for _, lengths in each.values())
    budgets = np.unique(np.logspace(0, np.log10(10 * longest), POINTS).round())
    factors = np.logspace(0, np.log10(MOST_FACTOR), POINTS)
    profiles, scores = performance_profile(costs, factors), algoperf_score(costs)
    return {
        "problems": costs.shape[1],
        "ecdf": [chart_line(name, budgets, share_within(restarts[name], budgets)) for name in methods],
        "profile": [
            chart_line(f"{name} (score {score:.2f})", factors, line)
            for name, score, line in zip(methods, scores, profiles, strict=True)
        ],
    }


def chart_line(name: str, x: np.ndarray, y: np.ndarray) -> dict[str, Any]:
    """Return a line of a chart."""
    return {"name": name, "x": x.round(3).tolist(), "y": y.round(4).tolist()}


def hits_of(comparison: Comparison, runs: Runs) -> Hits:
    """Return when the runs of each method first reached each target of one objective."""
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
    lengths = dict(runs.table.select("run", "steps").iter_rows())
    hits: Hits = {}
    for row in comparison.rows:
        own = [(run, parts[(run,)]) for run in row.members if (run,) in parts]
        if own:
            reached = [first_hits(*spent_and_values(part, sign), targets) for _, part in own]
            spent = [float(lengths[run] or 0) + 1 for run, _ in own]
            hits.setdefault(method_of(comparison, row.keys), (np.array(reached), np.array(spent)))
    return hits


def spent_and_values(curve: pl.DataFrame, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the evaluations spent at each point of a run's curve, and the value there, of which the lowest is best.

    The start is evaluated as every step is, so that no runtime is 0.
    """
    return curve["step"].to_numpy() + 1.0, sign * curve["value"].to_numpy()


def method_of(comparison: Comparison, keys: Mapping[str, Any]) -> str:
    """Return what a method is called: its choices alone."""
    table = pl.DataFrame([dict(row.keys) for row in comparison.rows], infer_schema_length=None)
    choices = choice_keys(table, setting_keys(list(keys)))
    return called({key: keys[key] for key in choices}) or "all settings"


def restarts_of(hits: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return what simulated restarts spend on each target, [targets, draws]."""
    return np.stack([simulated_restarts(hits[:, i], lengths, DRAWS) for i in range(hits.shape[1])])


def costs_of(hits: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the expected runtime to each target, [targets]."""
    return np.array([expected_runtime(hits[:, i], lengths) for i in range(hits.shape[1])])
