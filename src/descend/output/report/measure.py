"""Choosing what runs are compared by."""

import polars as pl

from descend.errors import ConfigurationError
from descend.metrics.metric import highest_is_best, name_of_test
from descend.output.report.summary import RAW, Measure, compared_column, loss_columns, several_losses

MODES = ("auto", "max", "min")


def loss_measure(table: pl.DataFrame) -> Measure:
    """Return the training loss: the total, or the raw sum of several, which no aggregator's weights enter."""
    column = compared_column(table)
    return Measure(column, column.replace("_", " "))


def default_measure(table: pl.DataFrame) -> Measure:
    """Return a validation metric where every run has one, else the training loss."""
    for label, column in labels(table).items():
        if label.startswith("validation/") and table[column].null_count() < len(table):
            return Measure(column, label, highest_is_best(label))
    return loss_measure(table)


def chosen_measure(table: pl.DataFrame, rank: str | None, mode: str = "auto") -> Measure:
    """Return the measure that a user names, or the default.

    Args:
        rank: `test/accuracy`, `loss/f1`, `seconds`…; None takes the default.
        mode: `max`, `min`, or `auto`, the highest of an accuracy or of R² and the lowest of all others.

    Raises:
        ConfigurationError: no run has it; the sentence says what there is.
    """
    if rank is None:
        return default_measure(table)
    known = labels(table)
    if rank not in known:
        raise ConfigurationError(f"rank is {rank}, but no run has that; choose one of {', '.join(known)}.")
    return Measure(known[rank], rank, highest_is_best(rank) if mode == "auto" else mode == "max")


def labels(table: pl.DataFrame) -> dict[str, str]:
    """Return the columns that runs can be compared by, by the names that they are shown by."""
    found = {loss_measure(table).label: compared_column(table)}
    for column in table.columns:
        kind, _, name = column.partition(".")
        if kind == "metrics":
            found[name_of_test(name)] = column
        elif kind == "values":
            found[name] = column
    if several_losses(table):
        found |= {f"loss/{column.removeprefix('losses.')}": column for column in loss_columns(table)}
    found |= {name: name for name in ("value", "best_value", "gradient_norm", "seconds", "steps")}
    empty = {column for column in found.values() if column != RAW and column not in table.columns}
    empty |= {column for column in found.values() if column in table.columns and not table[column].count()}
    return {label: column for label, column in found.items() if column not in empty}
