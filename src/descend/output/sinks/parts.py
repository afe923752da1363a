"""The records of a run that goes on, as a folder of Parquet files that are each whole."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import polars as pl

from descend.atomic import clear_temporaries, sync_names, whole

NAME = re.compile(r"(\d+)\.(\d+)-(\d+)\.parquet")


class PartFile(NamedTuple):
    """One file: its place in the order of the parts, and bounds on the steps of its rows."""

    number: int
    first: int
    last: int
    path: Path


class Parts:
    """The parts in a folder: `<number>.<first step>-<last step>.parquet`, in the order of their numbers.

    The names tell the steps, so that only a part that `step` falls into is read to remove the rows from there on.

    Args:
        folder: where the parts are; it is made with the first of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._next = 0

    def paths(self) -> list[Path]:
        """Return the files in their order; empty where there is no folder."""
        return [part.path for part in self._parts()]

    def add(self, write: Callable[[IO[bytes]], object], first: int, last: int) -> None:
        """Append a part, durably: `write` writes its rows, whose steps are from `first` to `last`, into a file."""
        if not self._folder.exists():
            self._folder.mkdir()
            sync_names(self._folder.parent)
        # Before the first of its parts, a process looks once for those of the process before.
        self._next = self._next or max((part.number for part in self._parts()), default=0) + 1
        with whole(self._folder / f"{self._next:07}.{first}-{last}.parquet") as file:
            write(file)
        self._next += 1

    def keep_before(self, step: int) -> None:
        """Remove the rows of `step` and later; called again after a kill, it ends what it began."""
        for part in self._parts():
            if part.first >= step:
                part.path.unlink()
            elif part.last >= step:
                # The name stays: a new name beside the old one would for a moment hold the same rows twice.
                with whole(part.path) as file:
                    pl.scan_parquet(part.path).filter(pl.col("step") < step).sink_parquet(file)
        if self._folder.exists():
            sync_names(self._folder)

    def sweep(self) -> None:
        """Remove temporary files that a killed process left."""
        clear_temporaries(self._folder)

    def clear(self) -> None:
        """Remove all parts, and the folder if nothing else is in it."""
        for part in self._parts():
            part.path.unlink()
        self.sweep()
        if self._folder.exists() and not any(self._folder.iterdir()):
            self._folder.rmdir()

    def _parts(self) -> list[PartFile]:
        found = [(NAME.fullmatch(path.name), path) for path in self._folder.glob("*.parquet")]
        return sorted(PartFile(int(name[1]), int(name[2]), int(name[3]), path) for name, path in found if name)
