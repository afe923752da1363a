"""What TensorBoard's Custom Scalars page lays side by side where a run has several losses, and its Text page."""

from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import layout_pb2

CHARTS = {
    "losses": "loss/.*",
    "weights": "weight/.*",
    "cosines of the gradients": "cosine/.*",
    "cosines with the direction": "direction_cosine/.*",
    "norms of the gradients": "loss_gradient/norm/.*",
    "Pareto stationarity": "pareto/.*",
}
"""The title of each chart, and the pattern of the names that are lines in it."""


def note(tag: str, text: str) -> Summary.Value:
    """Return a text for TensorBoard's Text page."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    tensor = TensorProto(dtype=DT_STRING, string_val=[text.encode()], tensor_shape=TensorShapeProto())
    return Summary.Value(tag=f"note/{tag}", metadata=metadata, tensor=tensor)


def losses_layout() -> Summary.Value:
    """Return the page: one category with a chart for each pattern."""
    charts = [
        layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=[pattern]))
        for title, pattern in CHARTS.items()
    ]
    layout = layout_pb2.Layout(category=[layout_pb2.Category(title="several losses", chart=charts)])
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="custom_scalars"))
    text = TensorProto(dtype=DT_STRING, string_val=[layout.SerializeToString()], tensor_shape=TensorShapeProto())
    return Summary.Value(tag="custom_scalars__config__", metadata=metadata, tensor=text)
