"""The curves of a sweep's settings over their seeds, as TensorBoard reads them."""

from pathlib import Path

import polars as pl
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from descend.output.sinks.bands import band_events
from descend.output.sinks.event_file import EventFile

BANDS = pl.DataFrame(
    [
        (panel, line, "test/accuracy", step, 0.5 + step, 0.25 + step, 0.75 + step, 3)
        for panel in ("beale", "ackley")
        for line in ("adam lr=0.1", "sgd")
        for step in (0, 10)
    ],
    schema=["panel", "line", "label", "step", "middle", "low", "high", "runs"],
    orient="row",
)


def test_each_objective_is_a_chart_and_each_setting_three_lines(tmp_path: Path) -> None:
    file = EventFile(tmp_path)
    for event in band_events(BANDS):
        file.add(event)
    file.close()
    found = EventAccumulator(str(tmp_path)).Reload()
    [event] = found.Tensors(metadata.CONFIG_SUMMARY_TAG)
    [category] = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0]).category
    assert [chart.title for chart in category.chart] == ["beale test accuracy", "ackley test accuracy"]
    named = [tag for chart in category.chart for x in chart.margin.series for tag in (x.value, x.lower, x.upper)]
    assert sorted(named) == sorted(found.Tags()["scalars"])
    first = category.chart[0].margin.series[0]
    for tag, start in ((first.value, 0.5), (first.lower, 0.25), (first.upper, 0.75)):
        assert [(point.step, point.value) for point in found.Scalars(tag)] == [(0, start), (10, start + 10)]


def test_without_seeds_there_is_no_band() -> None:
    assert not list(band_events(BANDS.with_columns(runs=pl.lit(1))))
    assert not list(band_events(pl.DataFrame()))
