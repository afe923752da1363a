"""The Custom Scalars page of a run with several losses, read back by TensorBoard's own plugin data."""

import re
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from descend.engine.result import Result
from descend.output.sinks.tensorboard import TensorBoard
from descend.records import Column, Records


def layout(folder: Path, names: list[str], result: Result) -> layout_pb2.Layout | None:
    board = TensorBoard(folder, {}, flush_seconds=0)
    column = Column(np.arange(2), np.ones(2))
    for _ in range(2):
        board.write(Records({name: column for name in names}))
    board.close(result)
    events = EventAccumulator(str(folder)).Reload()
    if metadata.CONFIG_SUMMARY_TAG not in events.Tags()["tensors"]:
        return None
    [event] = events.Tensors(metadata.CONFIG_SUMMARY_TAG)
    assert metadata.PLUGIN_NAME in events.SummaryMetadata(metadata.CONFIG_SUMMARY_TAG).plugin_data.plugin_name
    return layout_pb2.Layout.FromString(event.tensor_proto.string_val[0])


def test_several_losses_are_laid_side_by_side_once(tmp_path: Path, result: Result) -> None:
    found = layout(tmp_path, ["value", "loss/a", "loss/b"], result)
    assert found is not None
    [category] = found.category
    patterns = {chart.title: list(chart.multiline.tag) for chart in category.chart}
    assert patterns["losses"] == ["loss/.*"]
    assert {"weights", "cosines of the gradients"} <= set(patterns)


@pytest.mark.parametrize("names", [["value"], ["value", "gradient/norm"]])
def test_one_loss_has_no_such_page(tmp_path: Path, names: list[str], result: Result) -> None:
    assert layout(tmp_path, names, result) is None


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["value", "test/cross_entropy"], {"cross_entropy": "value$|(test|validation)/cross_entropy$"}),
        (["value", "validation/accuracy", "test/accuracy"], {"accuracy": "(test|validation)/accuracy$"}),
        (["loss/a", "loss/b", "test/a"], {"a": "loss/a$|(test|validation)/a$"}),
    ],
)
def test_training_and_test_curves_share_a_chart(
    tmp_path: Path, result: Result, names: list[str], expected: dict[str, str]
) -> None:
    found = layout(tmp_path, names, result)
    assert found is not None
    first = found.category[0]
    assert first.title == "training and test"
    patterns = {chart.title: chart.multiline.tag[0] for chart in first.chart}
    assert patterns == expected
    for tag in (name for name in names if name.split("/")[-1] in expected):
        assert any(re.match(pattern, tag) for pattern in patterns.values())


def test_watched_curvature_has_charts_whose_patterns_name_what_is_recorded(tmp_path: Path, result: Result) -> None:
    names = ["value", "curvature/top/0", "curvature/top/1", "curvature/bottom/0", "curvature/edge", "curvature/layer/a"]
    found = layout(tmp_path, names, result)
    assert found is not None
    [category] = found.category
    drawn = {chart.title: [x for x in names if re.match(chart.multiline.tag[0], x)] for chart in category.chart}
    assert drawn == {
        "eigenvalues": ["curvature/top/0", "curvature/top/1", "curvature/bottom/0"],
        "largest eigenvalue and the edge of stability": ["curvature/top/0", "curvature/edge"],
        "largest eigenvalue of each layer": ["curvature/layer/a"],
    }
