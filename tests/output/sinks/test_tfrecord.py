"""The framing against TensorBoard's own writer."""

import io

from hypothesis import given
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import RecordWriter

from descend.output.sinks.tfrecord import framed, unframed


@given(st.binary(max_size=3000))
def test_a_record_is_framed_as_tensorboard_frames_it(data: bytes) -> None:
    file = io.BytesIO()
    RecordWriter(file).write(data)
    assert framed(data) == file.getvalue()


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(0, 2000))
def test_records_are_read_up_to_the_first_that_is_torn(records: list[bytes], size: int) -> None:
    file = io.BytesIO()
    writer, ends = RecordWriter(file), []
    for data in records:
        writer.write(data)
        ends.append(file.tell())
    torn = io.BytesIO(file.getvalue()[:size])
    assert list(unframed(torn)) == records[: sum(end <= size for end in ends)]


@given(st.data())
def test_a_damaged_byte_ends_the_reading(data: st.DataObject) -> None:
    """As a power failure leaves it: the size of a file reaches the disk before its content."""
    file = io.BytesIO()
    for number in range(3):
        RecordWriter(file).write(bytes([number] * 20))
    damaged = bytearray(file.getvalue())
    at = data.draw(st.integers(0, len(damaged) - 1))
    damaged[at] ^= data.draw(st.integers(1, 255))
    assert list(unframed(io.BytesIO(damaged))) == [bytes([number] * 20) for number in range(at // 36)]
