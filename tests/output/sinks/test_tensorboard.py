"""The event file, read back by TensorBoard's EventAccumulator."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event

from descend.engine.result import Result
from descend.output.sinks.tensorboard import BUFFER_BYTES, TensorBoard
from descend.records import Column, Records

# A PNG file of one transparent pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc330000"
    "000049454e44ae426082"
)


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0, "images": 0})
    return accumulator.Reload()


def points(accumulator: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in accumulator.Scalars(tag)]


def events(folder: Path) -> list[Event]:
    (path,) = folder.glob("events.out.tfevents.*")
    return [Event.FromString(data) for data in RawEventFileLoader(str(path)).Load()]


def scalars(steps: range, **values: float) -> Records:
    numbers = np.array(steps, np.int64)
    return Records({name: Column(numbers, np.full(len(steps), value)) for name, value in values.items()})


@pytest.fixture
def folder(tmp_path: Path, records: Records, result: Result) -> Path:
    sink = TensorBoard(tmp_path, {})
    sink.write(records)
    sink.close(result)
    return tmp_path


def test_scalars_come_back_with_their_steps(folder: Path) -> None:
    found = read(folder)
    assert points(found, "loss/a") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert points(found, "gradient/norm") == [(0, np.float32(1e-3)), (2, np.float32(2e-3))]


def test_a_finite_number_beyond_float32_is_not_shown_as_infinite(tmp_path: Path, result: Result) -> None:
    """The largest float32 is (2 - 2^-23) 2^127 (IEEE 754)."""
    largest = (2 - 2**-23) * 2.0**127
    sink = TensorBoard(tmp_path, {})
    for step, value in enumerate([1e38, 1.3e100, -1.3e100, math.inf]):
        sink.write(scalars(range(step, step + 1), value=value))
    sink.close(dataclasses.replace(result, value=1e200, best_value=-math.inf))
    found = read(tmp_path)
    assert points(found, "value") == [(0, np.float32(1e38)), (1, largest), (2, -largest), (3, math.inf)]
    assert [points(found, f"result/{name}")[0][1] for name in ("value", "best_value")] == [largest, -math.inf]
    assert found.PluginTagToContent("text").keys() == {"note/range"}
    [text] = found.Tensors("note/range")
    assert b"records.parquet has them as they are" in text.tensor_proto.string_val[0]


def test_there_is_no_note_where_every_number_fits(folder: Path) -> None:
    with pytest.raises(KeyError):
        read(folder).PluginTagToContent("text")


def test_nan_and_infinity_survive(folder: Path) -> None:
    (_, first), (_, second), (_, third), (_, fourth) = points(read(folder), "value")
    assert (first, second, fourth) == (4.0, 1.5, math.inf)
    assert math.isnan(third)


def test_a_histogram_comes_back_with_its_edges_and_counts(folder: Path) -> None:
    (event,) = read(folder).Histograms("parameter/histogram/x")
    found = event.histogram_value
    assert event.step == 3
    assert list(found.bucket_limit) == [-1, 0, 1, 2]
    assert list(found.bucket) == [1, 0, 5, 2]
    assert (found.min, found.max, found.num) == (-2, 2, 8)
    # The middles are −1.5, −0.5, 0.5 and 1.5.
    assert found.sum == pytest.approx(-1.5 + 5 * 0.5 + 2 * 1.5)
    assert found.sum_squares == pytest.approx(1.5**2 + 5 * 0.5**2 + 2 * 1.5**2)


def test_a_histogram_of_one_bin(tmp_path: Path, result: Result) -> None:
    sink = TensorBoard(tmp_path, {})
    sink.write(Records(histograms={"h": Column(np.array([0]), np.array([[[2.0], [3.0]]]))}))
    sink.close(result)
    (event,) = read(tmp_path).Histograms("h")
    assert list(event.histogram_value.bucket) == [3]


def test_an_image_comes_back_whole(tmp_path: Path, result: Result) -> None:
    sink = TensorBoard(tmp_path, {})
    sink.write(Records(images={"path": Column(np.array([7]), np.array([PIXEL], object))}))
    sink.close(result)
    (event,) = read(tmp_path).Images("path")
    assert (event.step, event.encoded_image_string, event.width, event.height) == (7, PIXEL, 1, 1)


def test_the_file_begins_as_tensorboard_expects(folder: Path) -> None:
    first, second, third, *_ = events(folder)
    assert first.file_version == "brain.Event:2"
    assert second.session_log.status == second.session_log.START
    assert third.summary.value[0].tag == "_hparams_/session_start_info"


def test_one_event_holds_all_values_that_share_their_steps(folder: Path) -> None:
    tags = [[value.tag for value in event.summary.value] for event in events(folder) if event.HasField("summary")]
    assert tags.count(["value", "loss/a"]) == 4
    assert tags.count(["gradient/norm"]) == 2


def test_wall_times_of_a_block_go_on_from_the_block_before(tmp_path: Path, result: Result) -> None:
    sink = TensorBoard(tmp_path, {})
    sink.write(scalars(range(50), value=1.0))
    sink.write(scalars(range(50, 80), value=1.0))
    sink.close(result)
    times = [event.wall_time for event in read(tmp_path).Scalars("value")]
    assert times == sorted(times)
    assert len(set(times)) > 60


def test_final_numbers_stand_in_a_group_of_their_own(folder: Path) -> None:
    found = read(folder)
    assert points(found, "result/value") == [(3, 0.25)]
    assert points(found, "result/best_value") == [(3, 0.125)]
    assert points(found, "result/accuracy") == [(3, np.float32(0.975))]


def test_a_torn_last_record_costs_that_record_alone(tmp_path: Path, result: Result) -> None:
    sink = TensorBoard(tmp_path, {})
    sink.write(scalars(range(100), value=1.0))
    sink.close(result)
    (path,) = tmp_path.glob("events.out.tfevents.*")
    ends = path.read_bytes()
    whole = len(points(read(tmp_path), "value"))
    tail = ends.index(b"result/value")
    path.write_bytes(ends[: tail - 40])
    assert len(points(read(tmp_path), "value")) == whole - 1


def test_a_resumed_run_replaces_what_it_takes_again(tmp_path: Path, result: Result) -> None:
    sink = TensorBoard(tmp_path, {})
    sink.write(scalars(range(10), value=1.0))
    sink.close(result)
    again = TensorBoard(tmp_path, {}, first_step=6)
    again.write(scalars(range(6, 12), value=2.0))
    again.close(result)
    assert points(read(tmp_path), "value") == [(step, 1.0 if step < 6 else 2.0) for step in range(12)]


@pytest.mark.parametrize(("seconds", "there"), [(0.0, True), (1000.0, False)])
def test_records_reach_the_file_while_the_run_goes(tmp_path: Path, result: Result, seconds: float, there: bool) -> None:
    sink = TensorBoard(tmp_path, {}, flush_seconds=seconds)
    sink.write(scalars(range(3), value=1.0))
    assert ("value" in read(tmp_path).Tags()["scalars"]) == there
    sink.close(result)
    assert "value" in read(tmp_path).Tags()["scalars"]


def test_a_long_block_does_not_wait_in_memory(tmp_path: Path, result: Result) -> None:
    sink = TensorBoard(tmp_path, {}, flush_seconds=1000)
    sink.write(scalars(range(40_000), value=1.0))
    (path,) = tmp_path.glob("events.out.tfevents.*")
    assert path.stat().st_size >= BUFFER_BYTES
    sink.close(result)


def test_two_sinks_of_one_folder_have_two_files(tmp_path: Path, result: Result) -> None:
    for sink in [TensorBoard(tmp_path, {}), TensorBoard(tmp_path, {})]:
        sink.close(result)
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2
