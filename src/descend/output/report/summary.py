"""What a sweep's table says of its settings."""

from collections.abc import Sequence

import polars as pl

MOST_CHOICES = 60
BEST = 10

RAW = "sum_of_losses"
"""The column of the raw sum of several losses, which no aggregator's weights enter."""


def is_numeric(column: pl.Series) -> bool:
    """Tell whether every text of a swept key is a number."""
    return column.cast(pl.Float64, strict=False).null_count() == 0


def loss_columns(table: pl.DataFrame) -> list[str]:
    """Return the columns of the raw losses."""
    return [name for name in table.columns if name.startswith("losses.")]


def several_losses(table: pl.DataFrame) -> bool:
    """Tell whether any run of a sweep has more than one loss."""
    names = loss_columns(table)
    if len(names) < 2:
        return False
    return bool((table.select(pl.sum_horizontal(pl.col(names).is_not_null())).to_series() > 1).any())


def rank_column(table: pl.DataFrame) -> str:
    """Return the column that runs are compared by: the total, or, where any run has several losses, their raw sum.

    A total of several losses is weighted by the run's own aggregator: totals of two aggregators, or of one whose
    weights change, are of different functions.
    """
    return RAW if several_losses(table) else "value"


def with_sum(table: pl.DataFrame) -> pl.DataFrame:
    """Add the raw sum of the losses as a column where a run has several; null where a run has no finite total."""
    if not len(table) or not several_losses(table):
        return table
    finite = pl.col("value").cast(pl.Float64).is_finite().fill_null(False)
    summed = pl.sum_horizontal(pl.col(loss_columns(table)))
    return table.with_columns(pl.when(finite).then(summed).alias(RAW))


def with_rank(table: pl.DataFrame) -> pl.DataFrame:
    """Add a column `ranked`: what a run is compared by, at its end, infinite where it diverged or failed."""
    if rank_column(table) == RAW and RAW not in table.columns:
        table = with_sum(table)
    found = pl.col(rank_column(table))
    lost = pl.col("status").is_in(["diverged", "failed"]) | found.is_null() | found.is_nan()
    return table.with_columns(pl.when(lost).then(float("inf")).otherwise(found).alias("ranked"))


def best_settings(table: pl.DataFrame, swept: Sequence[str]) -> pl.DataFrame:
    """Return the best settings, one in a row, best first.

    Runs that differ in their seed alone are one setting, judged by the median of its runs, so that a lucky seed does
    not decide; a run that diverged or failed counts as infinite.

    Args:
        table: a row for each run.
        swept: the keys that were swept, columns of `table`.

    Returns:
        The best setting of each combination of the choices that are not numbers (objective, optimizer, …), or, where
        none or more than 60 were swept, the ten best of all. Columns: the keys, `run` (of the setting's best run),
        `runs`, `value` (the median of `ranked`), `lowest`, `highest`, `ended` (how its runs ended), and the medians of
        test metrics and, where there are several, of the raw losses.
    """
    keys = [key for key in swept if key != "seed"] or list(swept)
    choices = [key for key in keys if not is_numeric(table[key])]
    metrics = [name for name in table.columns if name.startswith("metrics.")]
    metrics += loss_columns(table) if several_losses(table) else []
    settings = (
        with_rank(table)
        .sort("ranked", "run")
        .group_by(keys, maintain_order=True)
        .agg(
            pl.col("run").first(),
            pl.len().alias("runs"),
            pl.col("ranked").median().alias("value"),
            pl.col("ranked").min().alias("lowest"),
            pl.col("ranked").max().alias("highest"),
            pl.col("status").unique(maintain_order=True).str.join(", ").alias("ended"),
            *[pl.col(name).median() for name in metrics],
        )
        .sort("value", "run")
    )
    if not choices or settings.select(choices).n_unique() > MOST_CHOICES:
        return settings.head(BEST)
    best = settings.unique(choices, keep="first", maintain_order=True)
    return best.sort("objective", "value", "run") if "objective" in choices else best
