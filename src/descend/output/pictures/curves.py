"""The curves of one run over its steps: what it is trained by, its test metrics, and the gradient."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from descend.output.decades import spans_decades
from descend.output.pictures.figure import nth_style, panel_grid
from descend.records import Records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture

GRADIENT = "gradient/norm"
MOST_PANELS = 4
MOST_ACROSS = 2
MOST_POINTS = 2000
"""More than a panel has pixels across."""


def curves_figure(blocks: Sequence[Records]) -> "Picture | None":
    """Draw the total with each of several losses, a panel for each test metric, and the norm of the gradient.

    Args:
        blocks: the records of the run.

    Returns:
        None where none of these was recorded.
    """
    names = list(dict.fromkeys(name for block in blocks for name in block.scalars))
    shown = list(panels_of(names).items())[:MOST_PANELS]
    if not shown:
        return None
    figure, places = panel_grid(len(shown), MOST_ACROSS, each=(4.2, 2.9), margin=(0, 0), dpi=80)
    for axes, (title, lines) in zip(places, shown, strict=True):
        for i, name in enumerate(lines):
            steps, values = points_of(blocks, name)
            marker = "." if len(steps) < 30 else None
            axes.plot(steps, values, label=name, linewidth=1.2, marker=marker, **nth_style(i).drawn)
        _finish(axes, title, lines)
    return figure


def panels_of(names: Sequence[str]) -> dict[str, list[str]]:
    """Return for each panel its title and the recorded names that are lines in it."""
    training = [name for name in names if name == "value" or name.startswith("loss/")]
    tests: dict[str, list[str]] = {}
    for name in names:
        if name.startswith(("test/", "validation/")):
            tests.setdefault(name.split("/", 1)[1].replace("_", " "), []).append(name)
    found = {"training loss": training, **tests, "norm of the gradient": [GRADIENT] if GRADIENT in names else []}
    return {title: lines for title, lines in found.items() if lines}


def points_of(blocks: Sequence[Records], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return steps and values of one name, at most `MOST_POINTS`, evenly spaced; NaN where a value is not finite."""
    found = [block.scalars[name] for block in blocks if name in block.scalars]
    steps = np.concatenate([column.steps for column in found])
    values = np.concatenate([column.values for column in found])
    kept = np.unique(np.linspace(0, len(steps) - 1, min(MOST_POINTS, len(steps))).astype(int))
    return steps[kept], np.where(np.isfinite(values), values, np.nan)[kept]


def _finish(axes: "Axes", title: str, lines: Sequence[str]) -> None:
    """Title, grid and legend; a logarithmic scale where positive values span a large factor."""
    drawn = np.concatenate([np.asarray(line.get_ydata(), np.float64) for line in axes.lines])
    if spans_decades(drawn):
        axes.set_yscale("log")
    axes.set(title=title, xlabel="step")
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend(fontsize=8)
