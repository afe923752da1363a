"""What a sweep's table says of its settings."""

from collections.abc import Sequence

import polars as pl

MOST_CHOICES = 60
BEST = 10


def is_numeric(column: pl.Series) -> bool:
    """Tell whether every text of a swept key is a number."""
    return column.cast(pl.Float64, strict=False).null_count() == 0


def with_rank(table: pl.DataFrame) -> pl.DataFrame:
    """Add a column `ranked`: the value a run ended with, infinite where it diverged or failed."""
    lost = pl.col("status").is_in(["diverged", "failed"]) | pl.col("value").is_null() | pl.col("value").is_nan()
    return table.with_columns(pl.when(lost).then(float("inf")).otherwise(pl.col("value")).alias("ranked"))


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
        `runs`, `value` (median), `lowest`, `highest`, `ended` (how its runs ended), and the medians of test metrics.
    """
    keys = [key for key in swept if key != "seed"] or list(swept)
    choices = [key for key in keys if not is_numeric(table[key])]
    metrics = [name for name in table.columns if name.startswith("metrics.")]
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
