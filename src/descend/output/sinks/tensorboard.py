"""Records as a TensorBoard event file."""

import itertools
import os
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from descend.output.sinks import hparams
from descend.output.sinks.layout import losses_layout, note
from descend.output.sinks.tfrecord import framed
from descend.records import Column, Records

if TYPE_CHECKING:
    from descend.engine.result import Result

BUFFER_BYTES = 1 << 20

LARGEST = float(np.finfo(np.float32).max)
BEYOND = (
    f"TensorBoard stores numbers in float32. Finite ones beyond ±{LARGEST:.3g} are shown as that; records.parquet has "
    "them as they are."
)

_file_number = itertools.count()


class EventFile:
    """An event file of its own name in `folder`, written in large pieces."""

    def __init__(self, folder: Path) -> None:
        stem = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
        # Unbuffered: a file object's own buffer would raise a second time, on its deletion, where the disk is full.
        self._file = (folder / f"{stem}.{os.getpid()}.{next(_file_number)}").open("wb", buffering=0)
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
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError:
            self._file.close()
            raise

    def close(self) -> None:
        self.flush()
        self._file.close()


class TensorBoard:
    """Writes one event file: scalars, histograms, pictures, and what the HParams page shows of the run.

    Scalars are stored as TensorBoard does, in float32; records.parquet keeps them whole. A finite number beyond
    float32's range is stored as the largest one, not as infinite, and a note on the Text page says so.

    One event holds all the values that share their steps: `SummaryWriter`, with its event, lock and queue entry per
    value, makes a step of 145 µs 4.65 times as long.

    Args:
        folder: where the event file goes; it must exist.
        config: the run's settings, nested.
        first_step: where a resumed run goes on; later steps of the folder's older files are then dropped by readers.
        flush_seconds: longest time between records and their arrival in the file.
    """

    def __init__(
        self, folder: Path, config: Mapping[str, Any], first_step: int = 0, flush_seconds: float = 2.0
    ) -> None:
        self._file = EventFile(folder)
        self._flush_seconds = flush_seconds
        self._flushed = self._written = time.time()
        session = SessionLog(status=SessionLog.START)
        self._file.add(Event(wall_time=self._written, step=first_step, session_log=session))
        self._add(0, [hparams.session_start(config, folder.name)])
        self._laid_out = self._noted = False
        self._file.flush()

    def write(self, records: Records) -> None:
        began, now = self._written, time.time()
        if not self._laid_out and any(name.startswith("loss/") for name in records.scalars):
            self._add(0, [losses_layout()])
            self._laid_out = True
        for names, steps, rows in self._groups(records.scalars):
            event = Event(summary=Summary(value=[Summary.Value(tag=name) for name in names]))
            values = event.summary.value
            times = np.linspace(began, now, len(steps) + 1)[1:].tolist()
            for step, row, wall_time in zip(steps, rows, times, strict=True):
                event.step, event.wall_time = step, wall_time
                for value, number in zip(values, row, strict=True):
                    value.simple_value = number
                self._file.add(event)
        for name, column in records.histograms.items():
            for step, (rights, counts) in zip(column.steps.tolist(), column.values, strict=True):
                self._add(step, [Summary.Value(tag=name, histo=_histogram(rights, counts))])
        for name, column in records.images.items():
            for step, png in zip(column.steps.tolist(), column.values, strict=True):
                self._add(step, [Summary.Value(tag=name, image=_image(png))])
        self._written = now
        if now - self._flushed >= self._flush_seconds:
            self._file.flush()
            self._flushed = now

    def close(self, result: "Result") -> None:
        numbers = {"value": result.value, "best_value": result.best_value, **result.metrics}
        shown = self._within(np.array(list(numbers.values()), np.float64)).tolist()
        finals = [
            Summary.Value(tag=f"result/{name}", simple_value=number)
            for name, number in zip(numbers, shown, strict=True)
        ]
        self._add(result.steps, [*finals, hparams.session_end(result.status)])
        self._file.close()

    def _add(self, step: int, values: Iterable[Summary.Value]) -> None:
        self._file.add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def _groups(self, scalars: Mapping[str, Column]) -> Iterable[tuple[list[str], list[int], list[list[float]]]]:
        """Yield the names of the columns that share their steps, these steps [k], and a row of values for each."""
        by_steps: dict[bytes, list[str]] = {}
        for name, column in scalars.items():
            by_steps.setdefault(column.steps.tobytes(), []).append(name)
        for names in by_steps.values():
            rows = np.stack([scalars[name].values for name in names], axis=1)
            yield names, scalars[names[0]].steps.tolist(), self._within(rows).tolist()

    def _within(self, numbers: np.ndarray) -> np.ndarray:
        """Return numbers with the finite ones brought into float32's range; the first time that says so in the file."""
        beyond = np.isfinite(numbers) & (np.abs(numbers) > LARGEST)
        if not beyond.any():
            return numbers
        if not self._noted:
            self._noted = True
            self._add(0, [note("range", BEYOND)])
        return np.where(beyond, np.copysign(LARGEST, numbers), numbers)


def _histogram(rights: np.ndarray, counts: np.ndarray) -> HistogramProto:
    """Encode bins of equal width; sums are those of their middles."""
    width = rights[1] - rights[0] if len(rights) > 1 else 1.0
    middles = rights - width / 2
    with np.errstate(over="ignore"):  # a run that diverges is told of by its status
        filled = counts > 0  # an empty bin whose square overflows would count as 0 · ∞
        parts, squares = counts[filled] * middles[filled], counts[filled] * middles[filled] ** 2
    return HistogramProto(
        min=rights[0] - width,
        max=rights[-1],
        num=counts.sum(),
        sum=parts.sum(),
        sum_squares=squares.sum(),
        bucket_limit=rights.tolist(),
        bucket=counts.tolist(),
    )


def _image(png: bytes) -> Summary.Image:
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
    return Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
