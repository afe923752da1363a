"""Texts on TensorBoard's Text page: what a run was told, and how it ended."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tensorboard.compat.proto.summary_pb2 import DATA_CLASS_TENSOR, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING

from descend.output.sinks.hparams import flatten
from descend.output.table import rows

if TYPE_CHECKING:
    from descend.engine.result import Result

PLUGIN = "text"


def configuration(config: Mapping[str, Any]) -> Summary.Value:
    """Return a run's settings as a table of dotted names."""
    return text(
        "configuration", markdown_table(["setting", "value"], [(name, str(x)) for name, x in flatten(config).items()])
    )


def ending(result: "Result") -> Summary.Value:
    """Return how a run ended, its numbers and where they come from."""
    found = {name: value for name, value in result.provenance.items() if value is not None}
    if "command" in found:
        found["command"] = shlex.join(found["command"])
    lines = [*rows(result).items(), *((name, str(value)) for name, value in found.items())]
    return text("result", f"**{result.status}**: {result.reason}\n\n{markdown_table(['', ''], lines)}")


def markdown_table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    ruled = [headings, ["---"] * len(headings), *lines]
    return "\n".join(f"| {' | '.join(map(in_a_cell, line))} |" for line in ruled)


def in_a_cell(content: str) -> str:
    """Return a text as it stands in one cell of a table."""
    return content.replace("|", "\\|").replace("\n", " ")


def text(tag: str, markdown: str) -> Summary.Value:
    """Return a text for the page."""
    metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=PLUGIN), data_class=DATA_CLASS_TENSOR)
    tensor = TensorProto(dtype=DT_STRING, string_val=[markdown.encode()], tensor_shape=TensorShapeProto())
    return Summary.Value(tag=tag, metadata=metadata, tensor=tensor)
