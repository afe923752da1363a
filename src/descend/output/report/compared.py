"""From runs to their comparisons, one for each objective."""

from dataclasses import replace

from descend.output.report.comparison import Comparison, compare
from descend.output.report.curves import with_target
from descend.output.report.fairness import notes, rates_in
from descend.output.report.measure import chosen_measure
from descend.output.report.ranking import measures_of
from descend.output.report.runs import Runs


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
    measures = measures_of(tables, rank, mode)
    without = {task for task, measure in measures.items() if rank not in (None, measure.label)}
    if len(without) == len(tables):
        chosen_measure(runs.table, rank, mode)
    found = []
    for task, table in tables.items():
        compared = compare(table, runs.swept, measures[task], task)
        said = notes(compared, table, runs.swept, rates_in(runs.curves))
        missing = [f"no run of {task} has {rank}; ranked by {compared.measure.label} instead"] * (task in without)
        compared = replace(compared, notes=(*missing, *said))
        found.append(compared if target is None else with_target(compared, table, runs.curves, target))
    return found
