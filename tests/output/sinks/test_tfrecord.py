"""The framing against TensorBoard's own writer."""

import io

from hypothesis import given
from hypothesis import strategies as st
from tensorboard.summary.writer.record_writer import RecordWriter

from descend.output.sinks.tfrecord import framed


@given(st.binary(max_size=3000))
def test_a_record_is_framed_as_tensorboard_frames_it(data: bytes) -> None:
    file = io.BytesIO()
    RecordWriter(file).write(data)
    assert framed(data) == file.getvalue()
