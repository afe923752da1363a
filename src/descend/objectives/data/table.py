"""Tables: a CSV or Parquet file, one column of which is the target."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from descend.errors import ConfigurationError
from descend.objectives.data.dataset import Examples, check_fits
from descend.objectives.data.files import check_among, reading, stamp
from descend.objectives.data.shuffled import Shuffled


@dataclass(frozen=True)
class Table(Shuffled):
    """The rows of a CSV or Parquet file; inputs [n, features] in the order of its columns.

    Numeric columns are standardised; columns of categories and booleans are not. Targets that are text, booleans or
    integers are classes, numbered in the order of their values; decimal numbers stay numbers.

    Args:
        path: a `.parquet` file; any other file is read as CSV, with names in the first line.
        target: the column to predict.
        categorical: columns whose values are categories, whether text or numbers. The target may be one of them.
        one_hot: make a column of 0 and 1 for each category; else one column that numbers the categories from 0, in the
            order of their values.
        drop: columns to leave out.
        regression: treat integer targets as numbers, not as classes.
        separator: the character between the values of a line of CSV.
    """

    path: str
    target: str
    categorical: Sequence[str] = ()
    one_hot: bool = True
    drop: Sequence[str] = ()
    regression: bool = False
    separator: str = ","

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("categorical", "drop"):  # YAML gives lists, which have no hash
            object.__setattr__(self, name, tuple(getattr(self, name)))

    def __str__(self) -> str:
        return self.path

    def version(self) -> Hashable:
        return stamp(self.path)

    def load(self) -> Examples:
        frame = self._frame()
        names = [name for name in frame.columns if name != self.target]
        if not names:
            raise ConfigurationError(f"{self.path} has no column but the target {self.target}; it needs inputs.")
        widths = [frame[name].n_unique() if self.one_hot and name in self.categorical else 1 for name in names]
        check_fits(self.path, frame.height * sum(widths))
        columns = [self._columns(frame[name]) for name in names]
        numbers = [frame[name].dtype.is_numeric() and name not in self.categorical for name in names]
        inputs = torch.from_numpy(np.concatenate(columns, axis=1))
        scaled = torch.tensor(np.repeat(numbers, [c.shape[1] for c in columns]), dtype=torch.bool, device="cpu")
        return Examples(inputs, torch.from_numpy(self._targets(frame[self.target])), numbers=scaled)

    def _frame(self) -> pl.DataFrame:
        """Return the table without the dropped columns; none of its values is missing."""
        place = Path(self.path).expanduser()
        check_fits(self.path, place.stat().st_size, 1)
        with reading(self.path):
            if place.suffix.lower() in (".parquet", ".pq"):
                frame = pl.read_parquet(place)
            else:
                frame = pl.read_csv(place, separator=self.separator, infer_schema_length=None)
        wanted = [("target", self.target)]
        wanted += [(field, name) for field in ("categorical", "drop") for name in getattr(self, field)]
        for field, name in wanted:
            check_among(self.path, "column", name, frame.columns, field)
        if self.target in self.drop:
            raise ConfigurationError(
                f"{self.target} is the target of {self.path}, and is dropped too; remove one of the two."
            )
        frame = frame.drop(self.drop)
        missing = {x.name: x.null_count() + int(x.is_nan().sum() if x.dtype.is_float() else 0) for x in frame}
        if any(missing.values()):
            found = ", ".join(f"{count:,} in {name}" for name, count in missing.items() if count)
            raise ConfigurationError(
                f"{self.path} has missing values: {found}; fill them in, leave their rows out, or drop the column by "
                "objective.data.drop."
            )
        return frame

    def _columns(self, column: pl.Series) -> np.ndarray:
        """Return a column as network inputs: float64 [n, 1], or one column for each category."""
        if column.name in self.categorical:
            levels, codes = np.unique(column.to_numpy(), return_inverse=True)
            return np.eye(len(levels))[codes] if self.one_hot else codes[:, None].astype(np.float64)
        if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            raise ConfigurationError(
                f"{column.name} of {self.path} holds {str(column.dtype).lower()} ({first_non_number(column)!r}, say), "
                "but numbers are needed; put it into objective.data.categorical, or into objective.data.drop."
            )
        return column.cast(pl.Float64).to_numpy()[:, None].copy()

    def _targets(self, column: pl.Series) -> np.ndarray:
        whole = column.dtype.is_integer() and not self.regression
        if column.name in self.categorical or whole or not column.dtype.is_numeric():
            if self.regression:
                raise ConfigurationError(
                    f"{column.name} of {self.path} holds {str(column.dtype).lower()} or is categorical, but "
                    "regression=true needs numbers for a target."
                )
            return np.unique(column.to_numpy(), return_inverse=True)[1].astype(np.int64)
        return column.cast(pl.Float64).to_numpy().copy()


def first_non_number(column: pl.Series) -> object:
    """Return the first value of a column that is not a number, or the first value if all are numbers."""
    numbers = column.cast(pl.String).cast(pl.Float64, strict=False)
    return column.filter(numbers.is_null()).first() if numbers.null_count() else column.first()
