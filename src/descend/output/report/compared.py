"""From runs to their comparisons, one for each objective."""

from dataclasses import replace

import polars as pl

from descend.errors import ConfigurationError
from descend.output.report.comparison import Comparison, compare
from descend.output.report.curves import with_target
from descend.output.report.fairness import notes, rates_in
from descend.output.report.measure import chosen_measure, default_measure
from descend.output.report.runs import Runs
from descend.output.report.summary import Measure


def comparisons(
    runs: Runs, rank: str | None = None, mode: str = "auto", target: float | None = None
) -> list[Comparison]:
    """Compare the settings of each objective; results of different objectives are never put in one table.

    Args:
        runs: one or more.
        rank: the measure, as `test/accuracy`; None: a validation metric where there is one, else the training loss.
        mode: `max`, `min` or `auto`.
        target: of the measure, to be reached as soon as can be; None asks for none.

    Raises:
        ConfigurationError: no run has the measure. Where only some objectives have it, the others are ranked by the
            default, and a note says so.
    """
    tables = runs.by_objective()
    measured = {task: measure_of(table, rank, mode) for task, table in tables.items()}
    if not any(measured.values()):
        chosen_measure(runs.table, rank, mode)
    found = []
    for task, table in tables.items():
        measure = measured[task]
        compared = compare(table, runs.swept, measure or default_measure(table), task)
        said = notes(compared, table, runs.swept, rates_in(runs.curves))
        missing = () if measure else (f"no run of {task} has {rank}; ranked by {compared.measure.label} instead",)
        compared = replace(compared, notes=(*missing, *said))
        found.append(compared if target is None else with_target(compared, table, runs.curves, target))
    return found


def measure_of(table: pl.DataFrame, rank: str | None, mode: str) -> Measure | None:
    """Return the measure that is asked for, None where these runs do not have it."""
    try:
        return chosen_measure(table, rank, mode)
    except ConfigurationError:
        return None
