"""The event files of a folder: writing a new one, and taking back what was written from some step on."""

import itertools
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event

from descend.atomic import remove, sync_names, whole
from descend.output.sinks.tfrecord import framed, unframed

BUFFER_BYTES = 1 << 20
PATTERN = "events.out.tfevents.*"
PLUGINS = {"hparams", "custom_scalars", "text"}

_numbers = itertools.count()


class EventFile:
    """An event file of its own name in `folder`, written in large pieces; readers read it after those there already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        stem = f"events.out.tfevents.{_stamp(folder)}.{socket.gethostname()}"
        # Unbuffered: a file object's own buffer would raise a second time, on its deletion, where the disk is full.
        self._file = (folder / f"{stem}.{os.getpid()}.{next(_numbers)}").open("wb", buffering=0)
        self._named = False
        self._pending = bytearray()
        self.add(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add(self, event: Event) -> None:
        self._pending += framed(event.SerializeToString())
        if len(self._pending) >= BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is pending; where that fails, close the file, for half a record ends it."""
        left = bytes(self._pending)
        self._pending.clear()
        with self._closed_on_failure():
            while left:
                left = left[self._file.write(left) :]

    def save(self) -> None:
        """Write what is pending, and put the file on the disk; where that fails, close the file."""
        self.flush()
        with self._closed_on_failure():
            os.fsync(self._file.fileno())
            if not self._named:
                sync_names(self._folder)
                self._named = True

    def close(self) -> None:
        self.flush()
        self._file.close()

    @contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._file.close()
            raise


def event_files(folder: Path) -> list[Path]:
    """Return the event files of a folder in the order in which TensorBoard reads them."""
    return sorted(folder.glob(PATTERN))


def holds_only(path: Path, tag: str) -> bool:
    """Tell whether the summaries of an event file are one, with this tag alone."""
    with path.open("rb") as file:
        first = [Event.FromString(data) for data in itertools.islice(unframed(file), 3)]  # its version, it, one more
    return [value.tag for event in first for value in event.summary.value] == [tag] and len(first) == 2


def keep_before(path: Path, step: int, anew: set[str]) -> set[str]:
    """Take out of an event file, atomically, the events of `step` and later, those for the plugins `anew`, and a torn
    end; remove the file where no summary is left. Return the plugins that are still told something."""
    summaries, told = 0, set[str]()
    with path.open("rb") as old, whole(path) as new:
        for data in unframed(old):
            event = Event.FromString(data)
            plugins = _plugins(event, data)
            if event.step < step and not anew & plugins:
                new.write(framed(data))
                summaries += event.HasField("summary")
                told |= plugins
    if not summaries:
        remove(path)
    return told


def _plugins(event: Event, data: bytes) -> set[str]:
    """Return those of `PLUGINS` that an event, whose bytes are `data`, tells something of the whole run."""
    # Most events name none, and to look at each of their values takes twice as long as all the rest.
    if not any(name.encode() in data for name in PLUGINS):
        return set()
    named = {value.metadata.plugin_data.plugin_name for value in event.summary.value}
    return named & PLUGINS


def _stamp(folder: Path) -> int:
    """Return the time in seconds, or a later one: readers take the files of a folder in the order of their names."""
    stamps = [path.name.split(".")[3] for path in event_files(folder)]
    return max([int(time.time()), *(int(stamp) + 1 for stamp in stamps if stamp.isdecimal())])
