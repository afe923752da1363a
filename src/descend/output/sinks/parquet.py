"""Records as a Parquet file."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from descend.records import Records, frame

if TYPE_CHECKING:
    from descend.engine.result import Result

ROWS_IN_MEMORY = 2_000_000
"""32 MB of steps and values, and as much again of names."""


class Parquet:
    """Writes `records.parquet`: every scalar whole, in long form (run, step, name, value), the settings as metadata.

    The file appears at the end, all of it or nothing. Until then records wait in memory and, beyond two million rows,
    in hidden parts beside it.

    Args:
        folder: where the file goes; it must exist.
        config: the run's settings, nested; kept as JSON under the file's metadata key `config`.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder = folder
        self._metadata = {"config": json.dumps(config, default=str)}
        self._blocks: list[Records] = []
        self._rows = 0
        self._parts: list[Path] = []

    def write(self, records: Records) -> None:
        self._blocks.append(Records(scalars=records.scalars))
        self._rows += sum(len(column.steps) for column in records.scalars.values())
        if self._rows > ROWS_IN_MEMORY:
            self._spill()

    def close(self, result: "Result") -> None:
        temporary = self._hidden("whole")
        try:
            if self._parts:
                self._spill()
                self._join(temporary)
            else:
                frame(self._blocks).write_parquet(temporary, metadata=self._metadata)
            temporary.replace(self._folder / "records.parquet")
        finally:
            for path in [temporary, *self._parts]:
                path.unlink(missing_ok=True)

    def _spill(self) -> None:
        self._parts.append(self._hidden(str(len(self._parts))))
        frame(self._blocks).write_parquet(self._parts[-1])
        self._blocks, self._rows = [], 0

    def _join(self, path: Path) -> None:
        import polars as pl

        pl.scan_parquet(self._parts).sink_parquet(path, metadata=self._metadata)

    def _hidden(self, part: str) -> Path:
        return self._folder / f".records.parquet.{os.getpid()}.{part}"
