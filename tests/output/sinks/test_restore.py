"""A run that was killed, interrupted or made longer leaves the same records and events as one that never stopped."""

import itertools
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PluginAccumulator
from tensorboard.compat.proto.event_pb2 import Event

from descend.engine.result import Result
from descend.engine.sink import Sink
from descend.output.sinks import event_file, parquet
from descend.output.sinks.parquet import Parquet
from descend.output.sinks.result_file import ResultFile
from descend.output.sinks.tensorboard import TensorBoard
from descend.records import Column, Records

STEPS = 60
ALL = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}


def block(first: int, last: int) -> Records:
    """What a run records of the steps from `first` to before `last`, whatever the process that takes them."""
    steps = np.arange(first, last)
    tenth = steps[steps % 10 == 0]
    histogram = np.array([[[step, step + 1.0], [1.0, 2.0]] for step in tenth]).reshape(-1, 2, 2)
    return Records(
        {
            "value": Column(steps, np.sqrt(steps)),
            "loss/a": Column(steps, -1.0 * steps),
            "norm": Column(tenth, tenth / 7),
        }
        if len(tenth)
        else {"value": Column(steps, np.sqrt(steps)), "loss/a": Column(steps, -1.0 * steps)},
        {"h": Column(tenth, histogram)} if len(tenth) else {},
    )


def ended(steps: int) -> Result:
    return Result("finished", "", steps, steps / 2, 0.0, {}, 0.0, {}, 1.0, None, {"accuracy": 0.5})


LIVE: list[TensorBoard] = []


def opened(folder: Path) -> list[Sink]:
    config = {"steps": STEPS}
    LIVE.append(TensorBoard(folder, config, flush_seconds=0))
    return [LIVE[-1], Parquet(folder, config), ResultFile(folder)]


def bury() -> None:
    """Close the files of the dead, as the system does, or Python warns of them."""
    for sink in LIVE:
        if sink._started is not None:
            sink._started._file.close()
    LIVE.clear()


def go(sinks: list[Sink], first: int, last: int, saves: set[int], size: int = 7) -> Iterator[int]:
    """Take the steps from `first` in blocks to `last` as the engine does; yield the step of each checkpoint."""
    for start in range(first, last, size):
        end = min(start + size, last)
        for sink in sinks:
            sink.write(block(start, end))
        if end in saves:
            for sink in sinks:
                sink.save()
            yield end
    for sink in sinks:
        sink.save()
    yield last
    for sink in sinks:  # the numbers at the last parameters, and a picture, which a longer run has not
        sink.write(Records({"value": Column(np.array([last]), np.array([0.25]))}))
        sink.close(ended(last))


def restored(folder: Path, step: int) -> list[Sink]:
    sinks = opened(folder)
    for sink in reversed(sinks):
        sink.restore(step)
    return sinks


def finish(folder: Path, step: int, last: int = STEPS) -> None:
    for _ in go(restored(folder, step), step, last, set()):
        pass


def table(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "records.parquet").sort("name", "step", maintain_order=True)


def events(folder: Path) -> dict[str, Any]:
    """What TensorBoard's accumulator finds in a folder: by kind and name, the step and the content of each point."""
    found = EventAccumulator(str(folder), ALL).Reload()
    scalars = {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    histograms = {tag: [(e.step, e.histogram_value) for e in found.Histograms(tag)] for tag in ["h"]}
    tensors = {tag: [e.tensor_proto for e in found.Tensors(tag)] for tag in found.Tags()["tensors"]}
    return {"scalars": scalars, "histograms": histograms, "tensors": tensors}


def served(folder: Path) -> dict[str, list[int]]:
    """The steps of each name, as the accumulator that TensorBoard's own server reads with finds them."""
    found = PluginAccumulator(str(folder), ALL).Reload()
    return {tag: [event.step for event in found.Tensors(tag)] for tag in found.Tags()["tensors"]}


def written(folder: Path) -> Counter[tuple[str, int]]:
    """How often each name and step is in the files themselves, whatever a reader would leave out of them."""
    every = itertools.chain.from_iterable(RawEventFileLoader(str(p)).Load() for p in event_file.event_files(folder))
    return Counter((value.tag, event.step) for event in map(Event.FromString, every) for value in event.summary.value)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    for _ in go(opened(folder), 0, STEPS, set()):
        pass
    return folder


def assert_same(folder: Path, undisturbed: Path) -> None:
    assert_frame_equal(table(folder), table(undisturbed))
    assert events(folder) == events(undisturbed)
    assert served(folder) == served(undisturbed)
    assert written(folder) == written(undisturbed)
    kinds = {path.name.split(".")[0] for path in folder.iterdir()}
    assert kinds == {"events", "records", "result"}
    assert not (folder / "records").exists()


def test_the_undisturbed_run_has_every_step_once(undisturbed: Path) -> None:
    assert table(undisturbed).filter(name="value")["step"].to_list() == list(range(STEPS + 1))
    assert set(written(undisturbed).values()) == {1}
    assert [step for step, _ in events(undisturbed)["scalars"]["value"]] == list(range(STEPS + 1))


class Killed(BaseException):
    """Nothing runs after this, not even what cleans up."""


@contextmanager
def killed_at(operation: int) -> Iterator[None]:
    """Let the process die at its `operation`-th call that changes what is on the disk, and refuse all later ones."""
    calls = itertools.count(1)

    def mortal(call: Any) -> Any:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if next(calls) >= operation:
                raise Killed
            return call(*arguments, **named)

        return wrapped

    with patch.multiple(os, **{name: mortal(getattr(os, name)) for name in ("fsync", "replace", "unlink", "rmdir")}):
        yield


def tear(before: dict[str, int], folder: Path, share: float) -> None:
    """Cut what was appended to event files since they had the sizes `before`: a kill leaves any part of it."""
    for path in event_file.event_files(folder):
        kept, size = before.get(path.name, 0), path.stat().st_size
        if size > kept:
            os.truncate(path, kept + int(share * (size - kept)))


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in event_file.event_files(folder)}


KILLS = st.lists(st.tuples(st.integers(1, 60), st.floats(0, 1)), min_size=1, max_size=4)


@settings(max_examples=60)
@given(kills=KILLS, saves=st.sets(st.integers(1, 60)), rows=st.sampled_from([20, 10_000]), size=st.integers(3, 13))
def test_killed_at_any_operation(
    undisturbed: Path, kills: list[tuple[int, float]], saves: set[int], rows: int, size: int
) -> None:
    """Some processes in turn, each killed in the middle of an operation: of a write, a save, a restore or its end."""
    with tempfile.TemporaryDirectory() as name, patch.object(parquet, "ROWS_IN_MEMORY", rows):
        folder, checkpoint = Path(name), 0
        for number, (operation, share) in enumerate(kills):
            before = sizes(folder)
            try:
                with killed_at(operation):
                    sinks = restored(folder, checkpoint) if number else opened(folder)
                    for saved in go(sinks, checkpoint, STEPS, saves, size):
                        checkpoint, before = saved, sizes(folder)
            except Killed:
                bury()
                tear(before, folder, share)
        finish(folder, checkpoint)
        assert_same(folder, undisturbed)


@settings(max_examples=30)
@given(step=st.integers(0, STEPS), later=st.integers(0, 8), size=st.integers(3, 13))
def test_an_earlier_checkpoint_than_the_last_may_be_taken(undisturbed: Path, step: int, later: int, size: int) -> None:
    """Where the newest checkpoint is torn, the run goes on from the one before: in the middle of a saved block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = go(opened(folder), 0, STEPS, set(range(STEPS)), size)
        reached = max([0, *itertools.islice(run, later)])
        bury()
        finish(folder, min(step, reached))
        assert_same(folder, undisturbed)
