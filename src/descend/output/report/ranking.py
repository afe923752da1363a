"""The order of the runs of a sweep, which decides what is kept, drawn and shown first."""

from collections.abc import Mapping

import polars as pl

from descend.errors import ConfigurationError
from descend.output.report.measure import chosen_measure, default_measure
from descend.output.report.summary import Measure, with_rank


def measures_of(tables: Mapping[str, pl.DataFrame], rank: str | None, mode: str = "auto") -> dict[str, Measure]:
    """Return what the runs of each objective are ranked by: `rank`, or the default where none of them has that.

    Args:
        tables: a row for each run, by the name of the objective.
        rank: the measure, as `test/accuracy`; None: a validation metric where there is one, else the training loss.
        mode: `max`, `min` or `auto`.
    """
    return {task: measure_or_default(table, rank, mode) for task, table in tables.items()}


def measure_or_default(table: pl.DataFrame, rank: str | None, mode: str) -> Measure:
    """Return the measure that is asked for, or the default where these runs do not have it."""
    try:
        return chosen_measure(table, rank, mode)
    except ConfigurationError:
        return default_measure(table)


def ranked_runs(tables: Mapping[str, pl.DataFrame], rank: str | None) -> pl.DataFrame:
    """Return all runs, the best first; of several objectives the best of each, then the second of each, and so on.

    Runs that diverged, failed or have no result come last. Of some of the runs alone, each has the same place or a
    better one: whoever ranks a part of a sweep drops none of the best of all.

    Args:
        tables, rank: see `measures_of`.

    Returns:
        Columns more: panel (the objective), label (what it is ranked by), ranked (that number, of which the lowest is
        the best; infinite of those that come last) and shown (the number itself).
    """
    measures = measures_of(tables, rank)
    parts = [ranked_of_one(table, measures[task], task) for task, table in tables.items()]
    every = pl.concat(parts, how="diagonal_relaxed")
    return every.sort(pl.col("ranked").is_infinite(), "place", "panel").drop("place")


def ranked_of_one(table: pl.DataFrame, measure: Measure, task: str) -> pl.DataFrame:
    """Return the runs of one objective with its measure, and each run's place among them."""
    ranked = with_rank(table, measure).sort("ranked", "run").with_row_index("place")
    told = pl.lit(task).alias("panel"), pl.lit(measure.label).alias("label")
    return ranked.with_columns(*told, (measure.sign * pl.col("ranked")).alias("shown"))
