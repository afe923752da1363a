"""A run that was killed, interrupted or made longer leaves the same records and events as one that never stopped."""

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killed import Killed
from polars.testing import assert_frame_equal
from resumed import go, opened, restored
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator as PluginAccumulator
from tensorboard.compat.proto.event_pb2 import Event

from descend.engine.result import Result
from descend.output.sinks import event_file, parquet
from descend.output.sinks.event_file import EventFile

STEPS = 60
ALL = {"scalars": 0, "histograms": 0, "images": 0, "tensors": 0}


def run(folder: Path, first: int, last: int) -> Path:
    """Take the steps from `first` to the end without a disturbance; a folder that is new starts a run."""
    sinks = restored(folder, first) if folder.exists() else opened(make(folder))
    for _ in go(sinks, first, last, ()):
        pass
    return folder


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


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
    return run(tmp_path_factory.mktemp("runs") / "undisturbed", 0, STEPS)


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


@contextmanager
def graves() -> Iterator[None]:
    """Close the event files that were opened inside, as the system does for the dead; Python would warn of them."""
    files: list[EventFile] = []
    begin = EventFile.__init__

    def kept(self: EventFile, folder: Path) -> None:
        begin(self, folder)
        files.append(self)

    with patch.object(EventFile, "__init__", kept):
        yield
    for file in files:
        file._file.close()


@settings(max_examples=30)
@given(
    kills=KILLS,
    saves=st.sets(st.integers(1, 60)),
    rows=st.sampled_from([20, 10_000]),
    size=st.integers(3, 13),
    seconds=st.sampled_from([0.0, 1000.0]),
)
def test_killed_at_any_operation(
    undisturbed: Path, kills: list[tuple[int, float]], saves: set[int], rows: int, size: int, seconds: float
) -> None:
    """Some processes in turn, each killed in the middle of an operation: of a write, a save, a restore or its end."""
    with tempfile.TemporaryDirectory() as name, patch.object(parquet, "ROWS_IN_MEMORY", rows):
        folder, checkpoint = Path(name), 0
        for number, (operation, share) in enumerate(kills):
            before = sizes(folder)
            with graves(), suppress(Killed), killed_at(operation):
                sinks = restored(folder, checkpoint, seconds) if number else opened(folder, seconds)
                for saved in go(sinks, checkpoint, STEPS, saves, size):
                    checkpoint, before = saved, sizes(folder)
            if not (folder / "result.json").exists():
                tear(before, folder, share)
        run(folder, checkpoint, STEPS)
        assert_same(folder, undisturbed)


@settings(max_examples=20)
@given(step=st.integers(0, STEPS), later=st.integers(0, 8), size=st.integers(3, 13))
def test_an_earlier_checkpoint_than_the_last_may_be_taken(undisturbed: Path, step: int, later: int, size: int) -> None:
    """Where the newest checkpoint is torn, the run goes on from the one before: in the middle of a saved block."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with graves():
            reached = max([0, *itertools.islice(go(opened(folder), 0, STEPS, range(STEPS), size), later)])
        run(folder, min(step, reached), STEPS)
        assert_same(folder, undisturbed)


def test_a_finished_run_is_made_longer(tmp_path: Path, undisturbed: Path) -> None:
    folder = run(tmp_path / "longer", 0, 20)
    assert (folder / "result.json").exists()
    run(folder, 20, 45)
    run(folder, 45, STEPS)
    assert_same(folder, undisturbed)


def test_a_result_is_there_only_while_it_is_true(tmp_path: Path, result: Result) -> None:
    folder = run(tmp_path / "longer", 0, 20)
    sinks = restored(folder, 20)
    assert {path.name.split(".")[0] for path in folder.iterdir()} == {"events", "records"}
    assert not (folder / "records.parquet").exists()
    for sink in sinks:
        sink.close(result)


@pytest.mark.parametrize("sink", range(3))
def test_temporary_files_of_the_dead_are_swept(tmp_path: Path, sink: int) -> None:
    with graves():
        next(go(opened(tmp_path), 0, STEPS, {7}))
        for folder in (tmp_path, tmp_path / "records"):
            (folder / ".descend-1-0.tmp").touch()
        opened(tmp_path)[sink].restore(7)
    left = {path.parent.name for path in tmp_path.rglob(".descend-*")}
    assert left <= {"records"}
    assert sink != 1 or not left  # that folder is the table's alone


def test_an_event_file_with_nothing_left_is_removed(tmp_path: Path) -> None:
    run(tmp_path, 0, 20)
    run(tmp_path, 10, 20)
    assert len(event_file.event_files(tmp_path)) == 2
    run(tmp_path, 10, 20)
    assert len(event_file.event_files(tmp_path)) == 2
    run(tmp_path, 0, 20)
    assert len(event_file.event_files(tmp_path)) == 1


def test_readers_take_a_new_event_file_last_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[Path] = []
    for seconds in [1e9 + 5, *[1e9 + 7] * 12, 1e9 + 6, 1e9 + 4]:
        monkeypatch.setattr(event_file.time, "time", lambda now=seconds: now)
        EventFile(tmp_path).close()
        [new] = set(event_file.event_files(tmp_path)) - set(paths)
        paths.append(new)
    assert paths == sorted(paths)


def test_a_process_killed_by_sigkill_at_random_moments(tmp_path: Path) -> None:
    steps, draw = 1000, Random(0)
    undisturbed, folder = run(tmp_path / "undisturbed", 0, steps), make(tmp_path / "killed")
    command = [sys.executable, "-m", "resumed", str(folder), str(steps)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    kills = 0
    for left in range(4, -1, -1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if left:
                time.sleep(draw.uniform(0, 0.05 * (5 - left)))  # the first one early: a fast machine must not be done
                process.kill()
            process.wait(120)
        kills += process.returncode == -signal.SIGKILL
        if process.returncode == 0:
            break
    assert kills
    assert_same(folder, undisturbed)


def test_a_served_tensorboard_shows_each_step_once(
    tmp_path: Path,
    serve: Callable[..., AbstractContextManager[str]],
    fetch: Callable[..., Any],
) -> None:
    """Its own reader is another program than the accumulators: it takes the steps and the end of a run made longer."""
    folder = run(tmp_path / "run", 0, 20)
    run(folder, 15, STEPS)
    with serve(tmp_path) as address:
        points = fetch(f"{address}data/plugin/scalars/scalars?run=run&tag=loss%2Fa")
        page = f"{address}experiment/defaultExperimentId/data/plugin/hparams/session_groups"
        wanted = {
            "startIndex": 0,
            "sliceSize": 10,
            "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_UNKNOWN", "STATUS_RUNNING"],
            "colParams": [
                {"metric": {"group": "", "tag": "result/value"}, "includeInResult": True},
                {"hparam": "lr", "includeInResult": True},
            ],
        }
        [row] = fetch(page, wanted)["sessionGroups"]
    assert [(step, value) for _, step, value in points] == [(step, -step) for step in range(STEPS)]
    [session] = row["sessions"]
    assert session["status"] == "STATUS_SUCCESS"
    assert {metric["name"]["tag"]: metric["value"] for metric in row["metricValues"]}["result/value"] == STEPS / 2
    assert row["hparams"] == {"lr": 0.5}
