"""How the settings of a sweep compare, on TensorBoard's Text page; apart, since a single run needs no report."""

from collections.abc import Sequence

from tensorboard.compat.proto.summary_pb2 import Summary

from descend.output.report.comparison import Comparison
from descend.output.report.printed import COLUMNS, columns, fitting
from descend.output.sinks.text import markdown_table, text


def compared(comparisons: Sequence[Comparison]) -> Summary.Value:
    """Return the settings of a sweep, best first, for each objective.

    The page breaks words where columns are many, so it has those that fit a terminal.
    """
    parts = []
    for comparison in comparisons:
        shown, left_out = fitting(columns(comparison), COLUMNS)
        lines = zip(*(column.cells for column in shown), strict=True)
        title = f"**{comparison.task}**\n\n" if comparison.task else ""
        more = [f"in report.html: {', '.join(column.heading for column in left_out)}"] if left_out else []
        notes = "".join(f"\n\n{line}" for line in [*more, *(f"note: {note}" for note in comparison.notes)])
        parts.append(title + markdown_table([column.heading for column in shown], lines) + notes)
    return text("comparison", "\n\n".join(parts))
