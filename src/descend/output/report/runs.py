"""The runs of several folders as one table, and the settings by which they differ."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from descend.output.report.methods import Methods
from descend.output.report.naming import is_number
from descend.output.report.sources import PARTS_OF_RESULT, RunsInFolder, column_of, with_seed
from descend.output.report.summary import FOLDER, RAW, is_numeric, with_sum

OBJECTIVE = "objective"
ONLY_LOOKS = ("hydra", "sweep", "tracker", "checkpoint", "metrics", "derivatives", "evaluate")
"""What changes no result."""

NOT_GIVEN = "null"
"""How an override writes that a setting is not given: `optimizer.lr=null`."""


@dataclass(frozen=True)
class Runs:
    """Runs to compare.

    Attributes:
        table: a row for each run; `run` is its number among all of them.
        swept: the columns of the settings by which they differ, `objective` and `seed` among them where these do.
        curves: run, step, name, value.
        notes: what could not be read, in sentences.
    """

    table: pl.DataFrame
    swept: tuple[str, ...]
    curves: pl.LazyFrame
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, table: pl.DataFrame, keys: Sequence[str], curves: pl.LazyFrame, notes: tuple[str, ...] = ()) -> "Runs":
        """Return the runs of one table; of these keys, columns of it, those count that differ.

        Args:
            table: the seed of a run may be known by its provenance alone.
        """
        table = with_seed(table.with_columns(numbers_where_given(table[key]) for key in keys))
        return cls(table, tuple(key for key in keys if table[key].n_unique() > 1), curves, notes)

    @property
    def methods(self) -> Methods:
        """The methods among the runs."""
        return Methods.of(self.table, self.swept)

    def by_objective(self) -> dict[str, pl.DataFrame]:
        """Return the runs of each objective by its name, "" where there is but one."""
        if OBJECTIVE not in self.swept:
            return {"": self.table}
        parts = self.table.partition_by(OBJECTIVE, as_dict=True, maintain_order=True)
        return {str(name): without_others(part) for (name,), part in parts.items()}


def without_others(table: pl.DataFrame) -> pl.DataFrame:
    """Return the runs of one objective without the losses and metrics of others."""
    own = [name for name in table.columns if name.partition(".")[0] not in PARTS_OF_RESULT or table[name].count()]
    return with_sum(table.select(own).drop(RAW, strict=False))


def runs_together(sources: Sequence[RunsInFolder]) -> Runs:
    """Return the runs of all sources as one table, each setting under the same key.

    What a folder does not name is looked up in its configuration. Where two folders hold runs of the same settings and
    seed, the folder is a setting as well.
    """
    if len(sources) == 1:
        [source] = sources
        return Runs.of(source.table, source.swept, source.curves, source.notes)
    named = dict.fromkeys([OBJECTIVE, *(key for source in sources for key in keys_of(source))])
    keys = sorted(named, key=lambda key: "." in key)  # choices of whole groups first, as in `sgd lr=0.1`
    frames, curves, count = [], [], 0
    for label, source in zip(labels_of(sources), sources, strict=True):
        own = source.table.with_columns(
            *[column_for(source, key) for key in keys if key != "seed"],
            (pl.col("run") + count).alias("run"),
            pl.lit(label).alias(FOLDER),
        )
        frames.append(own)
        curves.append(source.curves.with_columns(pl.col("run") + count))
        count = own["run"].to_list()[-1] + 1
    table = same_types(frames, [key for key in keys if key != "seed"])
    swept = [key for key in keys if table[key].n_unique() > 1]
    if table.select({*swept, "seed"}).is_duplicated().any():
        swept = [FOLDER, *swept]
    notes = tuple(note for source in sources for note in source.notes)
    return Runs(with_sum(table), tuple(swept), pl.concat(curves), notes)


def keys_of(source: RunsInFolder) -> list[str]:
    """Return the keys of all settings that a folder's runs were given."""
    fixed = [column_of(key) for key in source.fixed if key.partition(".")[0] not in ONLY_LOOKS]
    return [*fixed, *source.swept]


def labels_of(sources: Sequence[RunsInFolder]) -> list[str]:
    """Return what each folder is called: its own name, or its whole path where two have the same."""
    names = [source.folder.resolve().name for source in sources]
    return names if len(set(names)) == len(names) else [str(source.folder) for source in sources]


def column_for(source: RunsInFolder, key: str) -> pl.Series:
    """Return a setting of a source's runs."""
    if key in source.swept:
        return numbers_where_given(source.table[key])
    return pl.Series(key, [fixed_setting(source, key)] * len(source.table))


def fixed_setting(source: RunsInFolder, key: str) -> Any:
    """Return what a folder says of a setting that is the same for all of its runs; None where it does not say."""
    name = key.removeprefix("swept.")
    if name in source.fixed:
        return as_number(source.fixed[name])
    if name in source.choices:
        return source.choices[name]
    if any(name.startswith(f"{swept}.") for swept in source.swept):
        return None  # each choice has its own
    node: Any = source.config
    for part in name.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    # A list is written as an override of it would be.
    return None if isinstance(node, Mapping) else json.dumps(node) if isinstance(node, list) else node


def as_number(text: str) -> Any:
    """Return the number that a text writes, None for `null`, or the text."""
    return None if text == NOT_GIVEN else float(text) if is_number(text) else text


def numbers_where_given(values: pl.Series) -> pl.Series:
    """Return the values of a setting as numbers where each is one or `null`, which says that it is not given."""
    if values.dtype != pl.String or NOT_GIVEN not in values:
        return values
    given = pl.Series(values.name, [None if text == NOT_GIVEN else text for text in values], pl.String)
    return given.cast(pl.Float64) if is_numeric(given) else values


def same_types(frames: Sequence[pl.DataFrame], keys: Sequence[str]) -> pl.DataFrame:
    """Put tables under each other; a setting that is a number in all of them stays one, any other becomes a text."""
    texts = [
        key for key in keys if not all(frame[key].dtype.is_numeric() or not frame[key].count() for frame in frames)
    ]
    casts = [pl.col(key).cast(pl.String) for key in texts]
    numbers = [pl.col(key).cast(pl.Float64) for key in keys if key not in texts]
    return pl.concat([frame.with_columns(*casts, *numbers) for frame in frames], how="diagonal_relaxed")
