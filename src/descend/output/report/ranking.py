"""The order of the runs of a sweep, which decides what is kept, drawn and shown first."""

from collections.abc import Mapping

import polars as pl

from descend.errors import ConfigurationError
from descend.output.report.measure import chosen_measure, default_measure
from descend.output.report.summary import Measure, with_rank


def measures_of(tables: Mapping[str, pl.DataFrame], rank: str | None, mode: str = "auto") -> dict[str, Measure]:
    """Return the measure that ranks the runs of each objective: `rank`, or the default where no run has it.

    Args:
        tables: a row for each run, by the name of the objective.
        rank: the measure, as `test/accuracy`; None: a validation metric where there is one, else the training loss.
        mode: `max`, `min` or `auto`.
    """
    return {task: measure_or_default(table, rank, mode) for task, table in tables.items()}


def measure_or_default(table: pl.DataFrame, rank: str | None, mode: str) -> Measure:
    """Return the measure `rank`, or the default where these runs do not have it."""
    try:
        return chosen_measure(table, rank, mode)
    except ConfigurationError:
        return default_measure(table)


def ranked_runs(tables: Mapping[str, pl.DataFrame], rank: str | None) -> pl.DataFrame:
    """Return all runs, the best first; of several objectives the best of each, then the second of each, and so on.

    Runs that diverged, failed or have no result come last. Among a part of the runs, each run has the same place as
    among all or a better one, so that ranking a part of a sweep drops none of the best of all.

    Args:
        tables, rank: see `measures_of`.

    Returns:
        The tables joined, with the columns panel (the objective), label (the measure's name), shown (its value) and
        ranked (the same with the lowest as the best, infinite for the runs that come last).
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
