"""How the settings of a sweep compare, on TensorBoard's Text page; apart, since a single run needs no report."""

from collections.abc import Sequence

from tensorboard.compat.proto.summary_pb2 import Summary

from descend.output.report.comparison import Comparison
from descend.output.report.printed import columns
from descend.output.sinks.text import markdown_table, text


def compared(comparisons: Sequence[Comparison]) -> Summary.Value:
    """Return the settings of a sweep, best first, for each objective."""
    parts = []
    for comparison in comparisons:
        found = columns(comparison)
        lines = zip(*(column.cells for column in found), strict=True)
        title = f"**{comparison.task}**\n\n" if comparison.task else ""
        notes = "".join(f"\n\nnote: {note}" for note in comparison.notes)
        parts.append(title + markdown_table([column.heading for column in found], lines) + notes)
    return text("comparison", "\n\n".join(parts))
