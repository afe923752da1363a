"""The charts of TensorBoard's Custom Scalars page: training with test curves, and several losses together."""

import re
from collections.abc import Collection, Mapping

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2

LOSSES = {
    "losses": "loss/.*",
    "weights": "weight/.*",
    "cosines of the gradients": "cosine/.*",
    "cosines with the direction": "direction_cosine/.*",
    "norms of the gradients": "loss_gradient/norm/.*",
    "Pareto stationarity": "pareto/.*",
}
"""Where a run has several losses: the title of each chart, and the pattern of the names that are lines in it."""


def layout(names: Collection[str]) -> Summary.Value | None:
    """Return the page for the records of a run, with a category for each kind of chart; None without charts."""
    several = any(name.startswith("loss/") for name in names)
    categories = {"training and test": charts_of_tests(names), "several losses": LOSSES if several else {}}
    shown = [category(title, charts) for title, charts in categories.items() if charts]
    if not shown:
        return None
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="custom_scalars"))
    page = layout_pb2.Layout(category=shown)
    text = TensorProto(dtype=DT_STRING, string_val=[page.SerializeToString()], tensor_shape=TensorShapeProto())
    return Summary.Value(tag="custom_scalars__config__", metadata=metadata, tensor=text)


def charts_of_tests(names: Collection[str]) -> dict[str, str]:
    """Return a chart for each test metric: its lines on test and validation data, and that of the same training loss.

    Where there is one loss, it is recorded as `value`.
    """
    tested = {name.split("/", 1)[1] for name in names if name.startswith(("test/", "validation/"))}
    losses = {name.removeprefix("loss/") for name in names if name.startswith("loss/")}
    charts = {}
    for name in sorted(tested):
        a_share = name.startswith(("accuracy", "error"))  # which no training loss is
        training = [f"loss/{name}"] if name in losses else [] if losses or a_share else ["value"]
        charts[name] = "|".join(f"{tag}$" for tag in [*training, f"(test|validation)/{re.escape(name)}"])
    return charts


def category(title: str, charts: Mapping[str, str]) -> layout_pb2.Category:
    """Return a category with a chart for each title and pattern."""
    return layout_pb2.Category(
        title=title,
        chart=[
            layout_pb2.Chart(title=name, multiline=layout_pb2.MultilineChartContent(tag=[pattern]))
            for name, pattern in charts.items()
        ],
    )
