"""The curves of a sweep's settings over their seeds, for TensorBoard: a chart with bands, and each line by itself."""

import time
from collections.abc import Iterator

import polars as pl
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.custom_scalar import layout_pb2

from descend.output.sinks.layout import page

CATEGORY = "settings over their seeds: median and quartiles"
LINES = {"median": "middle", "lower quartile": "low", "upper quartile": "high"}
"""The last part of each tag, and the column that is drawn."""


def band_events(bands: pl.DataFrame) -> Iterator[Event]:
    """Yield the events of all settings; none where no setting has two runs, for then each curve is a run's own.

    Args:
        bands: what `bands_of` returns.
    """
    if not len(bands) or bands["runs"].to_numpy().max() < 2:
        return
    charts = []
    now = time.time()
    for (panel, label), own in bands.group_by("panel", "label", maintain_order=True):
        title = f"{panel} {label}".strip().replace("/", " ")
        series = []
        for (line,), curve in own.group_by("line", maintain_order=True):
            tags = {column: f"{title}/{line}/{name}" for name, column in LINES.items()}
            series.append(
                layout_pb2.MarginChartContent.Series(value=tags["middle"], lower=tags["low"], upper=tags["high"])
            )
            for step, *values in curve.select("step", *tags).iter_rows():
                pairs = zip(tags.values(), values, strict=True)
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in pairs])
                yield Event(wall_time=now, step=step, summary=summary)
        charts.append(layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=series)))
    yield Event(wall_time=now, summary=Summary(value=[page([layout_pb2.Category(title=CATEGORY, chart=charts)])]))
