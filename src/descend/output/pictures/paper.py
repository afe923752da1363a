"""The figures of a comparison for a paper: one file each, as wide as a column, with the report's numbers."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from descend.atomic import whole
from descend.output.decades import decades_above_zero
from descend.output.pictures.figure import DASHES, LineStyle, blank
from descend.output.pictures.heat import cells_of, draw_cells
from descend.output.report.sections import Data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture

FORMATS = ("pdf", "svg")
UNSAFE = r"[^\w.=+-]+"
"""Characters that a path or LaTeX may misread in the name of a file."""

WIDTH, HEIGHT = 3.3, 2.2
"""In inches: one column of a journal with two."""

LEGEND_ROW = 0.16
"""The height of a row of the legend, in inches."""

MOST_LETTERS = 50
"""The most letters in a row of the legend."""

MOST_LINES = 8
"""The most lines that can be told apart in a column; the best are drawn."""

BAND = ("low", "high")
ROOM = 0.05
"""The share of an axis that stays empty beyond the best result, where the other side is cut off."""

AWAY = 1000.0
"""A figure is cut off at this multiple of the highest start: beyond it there would be no room for the rest."""

STYLE: Any = {
    "font.size": 8,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.2,
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "svg.hashsalt": "descend",  # so that the same figure gives the same file
}


@dataclass(frozen=True)
class Chart:
    """A figure of lines.

    Attributes:
        x, y: the labels of the axes.
        series: the lines; each has a `name`, a `style`, lists under the keys `across` and `up`, and `low` and `high`
            for a band.
        logarithmic: whether x is.
        share: whether y is a share, from 0 to 1; any other y is logarithmic where its numbers span decades.
        cut: where y is cut off on the side of bad results; None where nothing runs away.
        highest: whether high results are the good ones.
    """

    x: str
    y: str
    series: Sequence[Data]
    across: str = "x"
    up: str = "y"
    logarithmic: bool = False
    share: bool = False
    cut: float | None = None
    highest: bool = False


def write_figures(folder: Path, tasks: Mapping[str, Data], across: Data | None, kind: str) -> list[Path]:
    """Write the figures of a comparison, and return their files.

    Args:
        folder: made where it does not exist.
        tasks: what `figures_of` returns, by the name of the objective.
        across: what `across_section` returns.
        kind: `pdf`, its fonts embedded as TrueType, or `svg`, its letters as paths.
    """
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with matplotlib.rc_context(STYLE):
        for name, figure in figures(tasks, across):
            path = folder / f"{re.sub(UNSAFE, '-', name)}.{kind}"
            with whole(path) as file:
                figure.savefig(file, format=kind, metadata={"CreationDate" if kind == "pdf" else "Date": None})
            written.append(path)
    return written


def figures(tasks: Mapping[str, Data], across: Data | None) -> Iterator[tuple[str, "Picture"]]:
    """Yield the name of each figure's file, and the figure."""
    for task, data in tasks.items():
        ending = f"-{task}" if task else ""
        for name, chart in charts_of(data).items():
            if chart.series:
                yield f"{name}{ending}", lines_figure(chart)
        if data["heat"] is not None:
            yield f"heat{ending}", heat_figure(data["heat"], data["measure"])
    for name, chart in charts_across(across).items() if across else ():
        if chart.series:
            yield name, lines_figure(chart)


def charts_of(data: Data) -> dict[str, Chart]:
    """Return the charts of one objective: its curves, the result against the swept number, and against the trials."""
    measure, swept, tuned = data["measure"], data["sensitivity"], data["tuning"]
    best = f"best {measure}"
    found = {
        "curves": Chart("step", measure, data["curves"], "steps", "middle"),
        "budget": Chart("settings tried", best, tuned["lines"], "steps", "middle", tuned["log"], cut=tuned["cut"]),
    }
    if swept is not None:
        found["swept"] = Chart(swept["name"], best, swept["lines"], logarithmic=swept["log"], cut=swept["cut"])
    return {name: replace(chart, highest=data["highest"]) for name, chart in found.items()}


def charts_across(across: Data) -> dict[str, Chart]:
    """Return the charts of methods over several objectives."""
    found = {
        "runtimes": ("steps, with restarts", across["ecdf"]),
        "data-profile": ("gradients by differences", across["data"]),
        "performance-profile": ("factor of the best", across["profile"]),
    }
    return {
        name: Chart(x, "share of targets", lines, logarithmic=True, share=True) for name, (x, lines) in found.items()
    }


def lines_figure(chart: Chart) -> "Picture":
    """Draw the lines of a chart and their bands, without a title, with the legend below."""
    series = chart.series[:MOST_LINES]
    names = ["\n".join(textwrap.wrap(each["name"], MOST_LETTERS)) for each in series] if len(series) > 1 else []
    across = 2 if max(map(len, names), default=0) <= MOST_LETTERS // 2 - 4 else 1
    rows = -(-sum(name.count("\n") + 1 for name in names) // across)
    figure = blank(WIDTH, HEIGHT + rows * LEGEND_ROW, dpi=300)
    axes = figure.subplots()
    for each in series:
        look, colour = in_print(each["style"]).drawn, each["style"].drawn["color"]
        x, middle = floats(each[chart.across]), floats(each[chart.up])
        axes.plot(x, middle, **look)
        if "low" in each:
            axes.fill_between(x, floats(each["low"]), floats(each["high"]), color=colour, alpha=0.15, linewidth=0)
    if chart.logarithmic:
        axes.set_xscale("log")
    if chart.share:
        axes.set_ylim(0, 1.02)
    else:
        scale_heights(axes, [floats(each[chart.up]) for each in series])
        cut_heights(axes, chart)
    axes.set(xlabel=chart.x, ylabel=chart.y)
    if names:
        figure.legend(axes.lines, names, loc="outside lower center", ncols=across)
    return figure


def in_print(style: LineStyle) -> LineStyle:
    """Return a style whose dashes differ with the colour, too, for readers who print in black."""
    return LineStyle(style.colour, (style.colour + style.dash) % len(DASHES))


def scale_heights(axes: "Axes", lines: Sequence[np.ndarray]) -> None:
    """Choose the scale of y; a line leaves the figure below where it is exactly 0, and above where it runs away.

    On a linear scale a band is cut off where it reaches further beyond the lines than they are apart.
    """
    every = np.concatenate(lines)
    if decades_above_zero(every):
        axes.set_yscale("log")
    start = max((line[np.isfinite(line)][0] for line in lines if np.isfinite(line).any()), default=0.0)
    if 0 < AWAY * start < axes.get_ylim()[1]:
        axes.set_ylim(top=AWAY * start)
    finite = every[np.isfinite(every)]
    if axes.get_yscale() == "linear" and finite.size and (apart := float(np.ptp(finite))):
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, finite.min() - apart), min(top, finite.max() + apart))


def cut_heights(axes: "Axes", chart: Chart) -> None:
    """Cut the axis off where a chart says so, and end it on the other side near the best result.

    Matplotlib left room there in proportion to the whole range, most of which is cut off.
    """
    if chart.cut is None:
        return
    drawn = np.concatenate([floats(line[key]) for line in chart.series for key in (chart.up, *BAND) if key in line])
    logarithmic = axes.get_yscale() == "log"
    seen = drawn[np.isfinite(drawn) & ((drawn > 0) | (not logarithmic))]
    worst, best = (seen.min(), seen.max()) if chart.highest else (-seen.max(), seen.min())
    if worst >= (chart.cut if chart.highest else -chart.cut):
        return
    end = best * (best / chart.cut) ** ROOM if logarithmic else best + ROOM * (best - chart.cut)
    axes.set_ylim(min(chart.cut, end), max(chart.cut, end))


def heat_figure(data: Data, measure: str) -> "Picture":
    """Draw the best result at each pair of two numbers."""
    cells = cells_of(*(floats(column) for column in zip(*data["cells"], strict=True)))
    figure = blank(WIDTH, HEIGHT, dpi=300)
    axes = figure.subplots()
    axes.grid(visible=False)
    draw_cells(figure, axes, cells, f"best {measure}")
    axes.set(xlabel=data["x"], ylabel=data["y"])
    return figure


def floats(values: Sequence[float | None]) -> np.ndarray:
    """Return numbers as an array, with NaN for None."""
    return np.array(values, np.float64)
