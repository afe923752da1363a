"""A comparison as text: a table for a terminal, CSV, LaTeX."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from descend.metrics.metric import name_of_test
from descend.output.report.comparison import Comparison, SettingRow

COLUMNS = 80
LONGEST_NAME = 40
BETWEEN = 3
"""Characters between two columns."""

LEAST_SHOWN = 2


@dataclass(frozen=True)
class TextColumn:
    """A column of the table: its heading, and its text for each row."""

    heading: str
    cells: tuple[str, ...]

    @property
    def width(self) -> int:
        """Characters it takes on a terminal, where headings break at spaces, and long names anywhere."""
        return max(map(len, [*self.heading.split(), *(cell[:LONGEST_NAME] for cell in self.cells)]))


def columns(comparison: Comparison) -> list[TextColumn]:
    """Return the columns that say something, the most important first."""
    rows = comparison.rows
    label = comparison.measure.label
    repeated = any(row.n > 1 for row in rows)
    others = [name for name in rows[0].medians if shown_name(name) != label]
    losses = [name for name in others if name.startswith("losses.")]
    tests = [name for name in others if name not in losses]
    found = {
        "setting": [row.name for row in rows],
        f"{label}, median" if repeated else label: [digits_of(row.median) for row in rows],
        "runs": [f"{row.n:,}" for row in rows] if repeated else [],
        "verdict": [row.verdict for row in rows] if repeated and len(rows) > 1 else [],
        **reaching(rows),
        **{shown_name(name): [digits_of(row.medians[name]) for row in rows] for name in losses},
        "on the front": ["" if row.front is None else "yes" if row.front else "no" for row in rows],
        "hypervolume": [digits_of(row.volume, 3) for row in rows],
        "95% interval": [interval_text(row.interval) for row in rows],
        **{shown_name(name): [digits_of(row.medians[name]) for row in rows] for name in tests},
        "IQM": [digits_of(row.iqm, 5) for row in rows] if repeated else [],
        "P(better than next)": ["" if row.improvement is None else f"{row.improvement:.2f}" for row in rows],
        "p (Holm)": ["" if row.p is None else f"{row.p:.2g}" for row in rows],
        "ended": [row.ended for row in rows] if {row.ended for row in rows} != {"finished"} else [],
        "best run": [str(row.run) for row in rows],
        "tried": [str(row.trials) for row in rows] if len({row.trials for row in rows}) > 1 else [],
    }
    return [TextColumn(heading, tuple(cells)) for heading, cells in found.items() if set(cells) - {"", "-"}]


def reaching(rows: Sequence[SettingRow]) -> dict[str, list[str]]:
    """Return how many runs reached the target and what that took, where there was one."""
    if rows[0].reached is None:
        return {}
    ert = [digits_of(row.ert, 5) for row in rows]
    return {"reached": [f"{row.reached}/{row.n}" for row in rows], "ERT, steps": ert}


def shown_name(column: str) -> str:
    """Return what a column of the table of runs is called."""
    kind, _, name = column.partition(".")
    return f"loss/{name}" if kind == "losses" else name_of_test(name)


def digits_of(value: float | None, digits: int = 6) -> str:
    """Return a number to so many digits; "-" where there is none or none that is finite."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.{digits}g}"


def interval_text(interval: tuple[float, float]) -> str:
    """Return an interval as text; nothing where there is none."""
    low, high = interval
    ends = ["∞" if math.isinf(end) else digits_of(end, 4) for end in (low, high)]
    return "" if math.isnan(low) else f"[{', '.join(ends)}]"


def terminal() -> Console:
    """Return where comparisons are printed: as wide as the terminal, and 80 columns in a file."""
    console = Console()
    return console if console.is_terminal else Console(width=COLUMNS)


def fitting(found: Sequence[TextColumn], width: int) -> tuple[list[TextColumn], list[TextColumn]]:
    """Return the columns that fit into a width, and those that do not; the first two are always there."""
    shown, left_out, used = list[TextColumn](), list[TextColumn](), 0
    for column in found:
        if len(shown) < LEAST_SHOWN or used + column.width + BETWEEN <= width:
            shown.append(column)
            used += column.width + BETWEEN
        else:
            left_out.append(column)
    return shown, left_out


def widths(shown: Sequence[TextColumn], width: int) -> list[int]:
    """Return the width of each column: where there is room, headings stand on one line."""
    spare = width - sum(column.width + BETWEEN for column in shown) + BETWEEN
    found = []
    for column in shown:
        more = max(0, len(column.heading) - column.width)
        found.append(column.width + (more if more <= spare else 0))
        spare -= more if more <= spare else 0
    return found


def printable(comparison: Comparison, width: int) -> RenderableType:
    """Return a comparison as a table of at most so many characters a line, what was left out, and the notes."""
    shown, left_out = fitting(columns(comparison), width)
    several = comparison.settings > len(comparison.rows)
    best = f"the best {len(comparison.rows)} of {comparison.settings:,} settings" if several else ""
    title = ", ".join(part for part in (comparison.task, best) if part)
    table = Table(title=title or None, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title_justify="left")
    for column, own in zip(shown, widths(shown, width), strict=True):
        table.add_column(escape(column.heading), overflow="fold", width=own)
    for cells in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*map(escape, cells))
    lines = [f"note: {note}" for note in comparison.notes]
    if left_out:
        lines.insert(0, f"not shown at this width: {', '.join(column.heading for column in left_out)}")
    return Group(table, *map(Text, lines))


def printable_across(across: Mapping[str, Any]) -> RenderableType:
    """Return the methods of `across_section` as a table."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title_justify="left")
    table.title = f"all objectives, {across['problems']} targets"
    for heading in ("method", "score", "targets reached", "gradients to half of them"):
        table.add_column(heading, overflow="fold")
    for each in across["methods"]:
        cells = f"{each['score']:.2f}", f"{each['reached']:.0%}", digits_of(each["half"], 3)
        table.add_row(escape(each["name"]), *cells)
    said = "score: the area under the performance profile up to 4; a gradient is counted as n + 1 function values"
    return Group(table, Text(said))


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """Return every column of every comparison as CSV, the objective and the ends of the interval in columns."""
    file = io.StringIO()
    names = list(dict.fromkeys(name for each in comparisons for row in each.rows for name in row.medians))
    keys = list(dict.fromkeys(key for each in comparisons for row in each.rows for key in row.keys))
    writer = csv.writer(file, lineterminator="\n")
    fixed = ["objective", "measure", "setting", "runs", "tried", "median", "iqm", "low", "high", "better_than_next"]
    writer.writerow(
        [*fixed, "p_holm", "verdict", "ended", "on_front", "hypervolume", "reached", "ert", "run", *keys, *names]
    )
    for each in comparisons:
        for row in each.rows:
            first = [each.task, each.measure.label, row.name, row.n, row.trials, row.median, row.iqm, *row.interval]
            tests = [
                row.improvement,
                row.p,
                row.verdict,
                row.ended,
                row.front,
                row.volume,
                row.reached,
                row.ert,
                row.run,
            ]
            cells = [*first, *tests, *(row.keys.get(key) for key in keys), *(row.medians.get(name) for name in names)]
            writer.writerow("" if cell is None or cell != cell else cell for cell in cells)
    return file.getvalue()


SPECIAL = str.maketrans({**{each: f"\\{each}" for each in "&%$#_{}"}, "~": r"\textasciitilde{}", "^": r"\^{}"})


def as_latex(comparisons: Sequence[Comparison]) -> str:
    """Return a `tabular` for each comparison, with the rules of booktabs; the best row, and its ties, are bold."""
    return "\n\n".join(map(tabular, comparisons)) + "\n"


def tabular(comparison: Comparison) -> str:
    """Return one comparison as a `tabular`."""
    headings = {"verdict", "best run", "ended"}
    shown = [column for column in columns(comparison) if column.heading not in headings]
    lines = [rf"% {comparison.task or 'all runs'}; bold: the best, and what the data cannot tell from it"]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(shown) - 1)}}}", r"\toprule"]
    lines += [" & ".join(escaped(column.heading) for column in shown) + r" \\", r"\midrule"]
    for row, cells in zip(comparison.rows, zip(*(column.cells for column in shown), strict=True), strict=True):
        name, *rest = map(escaped, cells)
        name = rf"\textbf{{{name}}}" if row.verdict in ("best", "tie") else name
        lines.append(" & ".join([name, *rest]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def escaped(text: str) -> str:
    """Return a text as LaTeX shows it."""
    return text.replace("\\", "/").translate(SPECIAL)
