"""Records as a TensorBoard event file."""

import time
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary

from descend.atomic import clear_temporaries, remove
from descend.output.sinks import hparams, text
from descend.output.sinks.event_file import EventFile, event_files, holds_only, keep_before
from descend.output.sinks.layout import layout
from descend.records import Column, Records

if TYPE_CHECKING:
    from descend.engine.result import Result

LARGEST = float(np.finfo(np.float32).max)


class TensorBoard:
    """Writes one event file: scalars, histograms, pictures, and the settings and the end of the run.

    The Text page and the HParams page show the settings and the end.

    Scalars are stored as TensorBoard does, in float32, and finite numbers beyond its range as the largest there is (a
    warning says so at the end); records.parquet keeps them whole. One event holds all the values that share their
    steps: `SummaryWriter`, with its event, lock and queue entry per value, makes a step of 145 µs 4.65 times as long.

    The file is opened with the first records. A resumed run writes a file of its own.

    Args:
        folder: where the event file goes; it must exist.
        config: the run's settings, nested.
        flush_seconds: longest time between records and their arrival in the file.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any], flush_seconds: float = 2.0) -> None:
        self._folder = folder
        self._config = config
        self._flush_seconds = flush_seconds
        self._flushed = self._written = time.time()
        self._started: EventFile | None = None
        self._laid_out = self._cut = False

    @property
    def _file(self) -> EventFile:
        return self._started or self._start(0)

    def _start(self, step: int) -> EventFile:
        """Open a file that tells readers to forget what older files say of `step` and later."""
        self._started = EventFile(self._folder)
        session = SessionLog(status=SessionLog.START)
        self._started.add(Event(wall_time=time.time(), step=step, session_log=session))
        self._add(0, [hparams.session_start(self._config, self._folder.name)])
        self._add(0, [text.configuration(self._config)])
        self._started.flush()
        return self._started

    def write(self, records: Records) -> None:
        began, now = self._written, time.time()
        if not self._laid_out and (page := layout(records.scalars)) is not None:
            self._add(0, [page])
            self._laid_out = True
        for names, steps, table in _groups(records.scalars):
            event = Event(summary=Summary(value=[Summary.Value(tag=name) for name in names]))
            values = event.summary.value
            times = np.linspace(began, now, len(steps) + 1)[1:].tolist()
            rows = self._within_float32(table).tolist()
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
                self._add(step, [picture_value(name, png)])
        self._written = now
        if now - self._flushed >= self._flush_seconds:
            self._file.flush()
            self._flushed = now

    def save(self) -> None:
        self._file.save()

    def restore(self, step: int) -> None:
        clear_temporaries(self._folder)
        older = event_files(self._folder)
        # The new file comes first: where rewriting the older ones fails, readers still drop what it takes back.
        self._start(step).save()
        for path in older:
            # The end that the page shows is no longer true, and `steps` may be another: they are written again.
            self._laid_out |= "custom_scalars" in keep_before(path, step, anew={"hparams", "text"})

    def close(self, result: "Result") -> None:
        numbers = {"value": result.value, "best_value": result.best_value, **result.metrics}
        if len(result.losses) > 1:
            numbers |= {f"loss/{name}": loss for name, loss in result.losses.items()}
            numbers["sum_of_losses"] = sum(result.losses.values())
        values = self._within_float32(np.array(list(numbers.values()), np.float64)).tolist()
        finals = [
            Summary.Value(tag=f"result/{name}", simple_value=value) for name, value in zip(numbers, values, strict=True)
        ]
        self._add(result.steps, [*finals, hparams.session_end(result.status)])
        self._add(result.steps, [text.ending(result)])
        self._file.close()
        if self._cut and result.status != "diverged":  # there the status tells it, and huge numbers are no surprise
            warnings.warn(
                f"TensorBoard keeps numbers in float32: finite ones beyond ±{LARGEST:.2g} are shown as ±{LARGEST:.2g}. "
                "Read them in records.parquet or result.json.",
                RuntimeWarning,
                stacklevel=1,  # one place for all runs, so that Python shows it once for a sweep of thousands
            )

    def _within_float32(self, values: np.ndarray) -> np.ndarray:
        """Return the values, finite ones beyond float32's range cut to its bounds."""
        beyond = (np.abs(values) > LARGEST) & np.isfinite(values)
        if not beyond.any():
            return values
        self._cut = True
        return np.where(beyond, np.copysign(LARGEST, values), values)

    def _add(self, step: int, values: Iterable[Summary.Value]) -> None:
        self._file.add(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))


def _groups(scalars: Mapping[str, Column]) -> Iterable[tuple[list[str], list[int], np.ndarray]]:
    """Yield the n names of the columns that share their steps, these steps [k], and their values [k, n]."""
    by_steps: dict[bytes, list[str]] = {}
    for name, column in scalars.items():
        by_steps.setdefault(column.steps.tobytes(), []).append(name)
    for names in by_steps.values():
        yield names, scalars[names[0]].steps.tolist(), np.stack([scalars[name].values for name in names], axis=1)


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


def picture_value(tag: str, png: bytes) -> Summary.Value:
    """Return a picture, a PNG file, for the Images page."""
    width, height = (int.from_bytes(png[at : at + 4]) for at in (16, 20))
    encoded = Summary.Image(encoded_image_string=png, width=width, height=height, colorspace=4)
    return Summary.Value(tag=tag, image=encoded)


def add_image(folder: Path, tag: str, step: int, png: bytes) -> None:
    """Add a picture to the event files of a run that has ended, in place of an earlier one of its tag.

    A run without event files gets none. A TensorBoard that runs meanwhile shows both until it is started again.

    Raises:
        OSError: the event file cannot be written.
    """
    if not event_files(folder):
        return
    earlier = [path for path in event_files(folder) if holds_only(path, tag)]
    file = EventFile(folder)
    file.add(Event(wall_time=time.time(), step=step, summary=Summary(value=[picture_value(tag, png)])))
    file.close()
    for path in earlier:
        remove(path)
