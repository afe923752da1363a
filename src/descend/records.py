"""Records: what a run yields while it goes, as columns of numbers with their steps."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

SCHEMA = {"run": pl.Int64, "step": pl.Int64, "name": pl.String, "value": pl.Float64}


class Column(NamedTuple):
    """One name's values: `steps` int64 [k], `values` [k] (scalars; float64, or float32 where so computed), float64
    [k, 2, bins] (histograms), or PNG files as objects [k] (images)."""

    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Records:
    """The rows of some steps in a row, by name.

    Attributes:
        scalars: name -> Column with values [k].
        histograms: name -> Column with values [k, 2, bins]: right edges of the bins, then counts.
        images: name -> Column with values [k], each the bytes of a PNG file.
    """

    scalars: dict[str, Column] = field(default_factory=dict)
    histograms: dict[str, Column] = field(default_factory=dict)
    images: dict[str, Column] = field(default_factory=dict)


def last(blocks: Iterable[Records], names: Iterable[str]) -> dict[str, float]:
    """Return the last value of each of `names` that was recorded."""
    found: dict[str, float] = {}
    for block in blocks:
        found |= {name: float(block.scalars[name].values[-1]) for name in names if name in block.scalars}
    return {name: found[name] for name in names if name in found}


def of_frame(table: pl.DataFrame) -> Records:
    """Return the rows of a table in long form as records, each name's steps ascending."""
    columns = {
        str(name): Column(rows["step"].to_numpy(), rows["value"].to_numpy())
        for (name,), rows in table.sort("step").group_by("name", maintain_order=True)
    }
    return Records(scalars=columns)


def frame(blocks: Iterable[Records], run: int = 0) -> pl.DataFrame:
    """Return the scalars of `blocks` in long form: one row (run, step, name, value) per number."""
    named = [(name, column) for block in blocks for name, column in block.scalars.items()]
    if not named:
        return pl.DataFrame(schema=SCHEMA)
    names = pl.Series([name for name, _ in named], dtype=pl.String)
    owners = np.repeat(np.arange(len(named)), [len(column.steps) for _, column in named])
    return pl.DataFrame(
        {
            "run": np.full(len(owners), run, np.int64),
            "step": np.concatenate([column.steps for _, column in named]),
            "name": names.gather(owners),
            "value": np.concatenate([column.values for _, column in named]),
        },
        schema=SCHEMA,
    )
