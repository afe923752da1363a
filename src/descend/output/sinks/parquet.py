"""Records as a Parquet file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from descend.atomic import clear_temporaries, remove, whole
from descend.output.sinks.parts import Parts
from descend.records import Records, frame

if TYPE_CHECKING:
    from descend.engine.result import Result

ROWS_IN_MEMORY = 2_000_000
"""32 MB of steps and values, and as much again of names."""


class Parquet:
    """Writes `records.parquet`: every scalar whole, in long form (run, step, name, value), the settings as metadata.

    The file appears at the end, all of it or nothing. Until then records wait in memory; each `save`, and every two
    million rows, puts them into `records/` as one more part. `records/*.parquet` reads what is there of a run that
    goes on, or that was killed.

    Where records.parquet and parts are both there, a kill came between two operations below, and records.parquet holds
    every row that the parts hold: `close` makes it of all the parts before it removes them, and `restore` removes it
    only once a part holds its rows.

    Args:
        folder: where the file goes; it must exist.
        config: the run's settings, nested; kept as JSON under the file's metadata key `config`.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder = folder
        self._path = folder / "records.parquet"
        self._parts = Parts(folder / "records")
        self._metadata = {"config": json.dumps(config, default=str)}
        self._blocks: list[Records] = []
        self._rows = self._run = 0
        self._begun = False

    def write(self, records: Records) -> None:
        self._blocks.append(Records(scalars=records.scalars))
        self._rows += sum(len(column.steps) for column in records.scalars.values())
        if self._rows > ROWS_IN_MEMORY:
            self.save()

    def save(self) -> None:
        if not self._rows:
            return
        self._begin()
        table = frame(self._blocks, self._run)
        steps = table["step"].to_numpy()
        self._parts.add(table.write_parquet, int(steps.min()), int(steps.max()))
        self._blocks, self._rows = [], 0

    def restore(self, step: int) -> None:
        self._begun = True
        clear_temporaries(self._folder)
        self._parts.sweep()
        if self._path.exists():
            self._parts.clear()
            if step:
                kept = pl.scan_parquet(self._path).filter(pl.col("step") < step)
                self._parts.add(kept.sink_parquet, 0, step - 1)
            remove(self._path)
        self._parts.keep_before(step)
        for path in self._parts.paths()[:1]:  # of a run of a sweep, its number
            self._run = pl.read_parquet(path, columns=["run"], n_rows=1).row(0)[0]

    def close(self, result: "Result") -> None:
        parts, rest = self._parts.paths() if self._begun else [], frame(self._blocks, self._run)
        with whole(self._path) as file:
            if parts:
                pl.concat([pl.scan_parquet(parts), rest.lazy()]).sink_parquet(file, metadata=self._metadata)
            else:
                rest.write_parquet(file, metadata=self._metadata)
        self._parts.clear()

    def _begin(self) -> None:
        """Remove what an earlier run left in the folder, which this run does not go on with."""
        if not self._begun:
            self._parts.clear()
            remove(self._path)
            self._begun = True
