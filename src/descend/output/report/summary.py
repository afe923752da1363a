"""What the table of a sweep's runs says of its settings."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

MOST_CHOICES = 60
BEST = 10

FOLDER = "folder"
"""The column of the folder that a run is in, a setting where folders hold the same settings."""

RAW = "sum_of_losses"
"""The column of the raw sum of several losses, which no aggregator's weights enter."""


@dataclass(frozen=True)
class Measure:
    """A number that each run ended with.

    Attributes:
        column: of the table of runs.
        label: the name it is recorded and shown by, as `test/accuracy`.
        highest: whether the highest is the best.
    """

    column: str
    label: str
    highest: bool = False

    @property
    def sign(self) -> int:
        """What turns it into a number of which the lowest is the best."""
        return -1 if self.highest else 1


def is_numeric(column: pl.Series) -> bool:
    """Tell whether every text of a swept key that is given is a number; a folder called `1` is a name."""
    return column.name != FOLDER and column.cast(pl.Float64, strict=False).null_count() == column.null_count()


def loss_columns(table: pl.DataFrame) -> list[str]:
    """Return the columns of the raw losses."""
    return [name for name in table.columns if name.startswith("losses.")]


def several_losses(table: pl.DataFrame) -> bool:
    """Tell whether any run of a sweep has more than one loss."""
    names = loss_columns(table)
    if len(names) < 2:
        return False
    return bool((table.select(pl.sum_horizontal(pl.col(names).is_not_null())).to_series() > 1).any())


def compared_column(table: pl.DataFrame) -> str:
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


def with_rank(table: pl.DataFrame, measure: Measure | None = None) -> pl.DataFrame:
    """Add a column `ranked`: the measure of a run at its end, of which the lowest is best; infinite where it diverged,
    failed, or has none.

    Args:
        measure: what runs are compared by; None: the training loss.
    """
    column, sign = (compared_column(table), 1) if measure is None else (measure.column, measure.sign)
    if column == RAW and RAW not in table.columns:
        table = with_sum(table)
    found = pl.col(column).cast(pl.Float64)
    lost = pl.col("status").is_in(["diverged", "failed"]) | ~found.is_finite().fill_null(False)
    return table.with_columns(pl.when(lost).then(float("inf")).otherwise(sign * found).alias("ranked"))


def all_settings(table: pl.DataFrame, swept: Sequence[str], measure: Measure | None = None) -> pl.DataFrame:
    """Return every setting, one in a row, best first.

    Runs that differ in their seed alone are one setting, judged by the median of its runs, so that a lucky seed does
    not decide; a run that diverged or failed counts as infinite.

    Args:
        table: a row for each run of one objective.
        swept: the keys that were swept, columns of `table`.
        measure: what runs are compared by; None: the training loss.

    Returns:
        Columns: the keys, `run` (of the setting's best run), `runs`, `value` (the median of `ranked`),
        `results` (all of `ranked`, best first), the `members` (runs) and `seeds` they belong to, `ended` (how its runs
        ended), and the medians of test metrics and, where there are several, of the raw losses.
    """
    keys = setting_keys(swept)
    metrics = [name for name in table.columns if name.startswith("metrics.")]
    metrics += loss_columns(table) if several_losses(table) else []
    return (
        with_rank(table, measure)
        .sort("ranked", "run")
        .group_by(keys or pl.lit("all runs").alias("setting"), maintain_order=True)
        .agg(
            pl.col("run").first(),
            pl.len().alias("runs"),
            pl.col("run").alias("members"),
            pl.col("ranked").median().alias("value"),
            pl.col("ranked").alias("results"),
            pl.col("seed" if "seed" in table.columns else "run").alias("seeds"),
            pl.col("status").unique(maintain_order=True).str.join(", ").alias("ended"),
            *[pl.col(name).median() for name in metrics],
        )
        .sort("value", "run")
    )


def setting_keys(swept: Sequence[str]) -> list[str]:
    """Return the swept keys that tell settings of one objective apart."""
    return [key for key in swept if key not in ("seed", "objective")]


def best_settings(settings: pl.DataFrame, swept: Sequence[str]) -> pl.DataFrame:
    """Return the best settings, best first.

    Args:
        settings: what `all_settings` returns.
        swept: the keys that were swept.

    Returns:
        The best setting of each combination of the choices that are not numbers (optimizer, aggregator, …), or, where
        none or more than 60 were swept, the ten best of all. A column more: `trials`, of how many settings it is the
        best.
    """
    choices = choice_keys(settings, swept)
    if not choices or settings.select(choices).n_unique() > MOST_CHOICES:
        return settings.with_columns(pl.lit(len(settings)).alias("trials")).head(BEST)
    counted = settings.with_columns(pl.len().over(choices).alias("trials"))
    return counted.unique(choices, keep="first", maintain_order=True)


def choice_keys(settings: pl.DataFrame, swept: Sequence[str]) -> list[str]:
    """Return the swept keys that are not numbers."""
    return [key for key in setting_keys(swept) if not is_numeric(settings[key])]
