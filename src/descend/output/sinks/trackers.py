"""Opening the sinks that a configuration asks for, so that none of them can stop the training."""

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polars.exceptions import PolarsError

from descend.engine.sink import Sink
from descend.records import Records

if TYPE_CHECKING:
    from descend.engine.result import Result

Tracker = Callable[[Path, Mapping[str, Any]], Sink]
"""Opens a sink, given the run's folder and its settings."""


class Guarded:
    """A sink that warns once where it cannot write (a full disk, a folder without permission) and is silent from then.

    A run of hours is worth more than its log.
    """

    def __init__(self, name: str, open_sink: Callable[[], Sink]) -> None:
        self._name = name
        self._sink: Sink | None = None
        self._sink = self._attempt(open_sink)

    def write(self, records: Records) -> None:
        if self._sink is not None:
            self._attempt(partial(self._sink.write, records))

    def save(self) -> None:
        if self._sink is not None:
            self._attempt(self._sink.save)

    def restore(self, step: int) -> None:
        if self._sink is not None:
            self._attempt(partial(self._sink.restore, step))

    def close(self, result: "Result") -> None:
        if self._sink is not None:
            self._attempt(partial(self._sink.close, result))

    def _attempt(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (OSError, PolarsError) as error:
            self._sink = None
            warnings.warn(
                f"The tracker {self._name} cannot write ({error}); the run goes on without it. "
                "Free the disk or choose another folder before the next run.",
                RuntimeWarning,
                stacklevel=3,
            )
            return None


def open_sinks(trackers: Mapping[str, Tracker], folder: Path, config: Mapping[str, Any]) -> list[Sink]:
    """Open each tracker's sink in `folder`, which must exist, for a run with the settings `config`."""
    return [Guarded(name, partial(track, folder, config)) for name, track in trackers.items()]
