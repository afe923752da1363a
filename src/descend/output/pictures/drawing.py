"""The picture of functions over a domain of one or two variables: what was found, what is exact, and the error."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from torch import Tensor

from descend.output.pictures.figure import blank, png
from descend.types import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture


class Panel(NamedTuple):
    """One drawing: values [k] or [k₁, k₂], and the lowest and highest of its colours."""

    title: str
    values: np.ndarray
    low: float
    high: float
    colours: str


def solution_picture(drawing: Drawing, title: str = "") -> bytes:
    """Draw a row for each function: found, exact, error; of one variable as curves, of two as colours.

    Returns:
        A PNG file.
    """
    rows = [panels(name, drawing) for name in drawing.found]
    columns = max(map(len, rows))
    figure = blank(4 * columns, 3 * len(rows) + 0.4, dpi=90)
    figure.suptitle(title)
    variables = list(drawing.axes)
    axes = [as_array(coordinates) for coordinates in drawing.axes.values()]
    for places, row in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for place, panel in zip(places, row, strict=False):
            _draw(figure, place, axes, panel)
            place.set(title=panel.title, xlabel=variables[0], ylabel="".join(variables[1:]))
        for place in places[len(row) :]:
            place.remove()
    return png(figure)


def panels(name: str, drawing: Drawing) -> list[Panel]:
    """Return what is drawn of one function: found and exact in the same colours, the error white at 0."""
    found = as_array(drawing.found[name])
    exact = as_array(drawing.exact[name]) if name in drawing.exact else found
    low, high = min(found.min(), exact.min()), max(found.max(), exact.max())
    row = [Panel(f"{name}, found", found, low, high, "viridis"), Panel(f"{name}, exact", exact, low, high, "viridis")]
    if name not in drawing.exact:
        return row[:1]
    error = found - exact
    most = np.abs(error).max()
    return [*row, Panel(f"{name}, error", error, -most, most, "RdBu_r")]


def as_array(values: Tensor) -> np.ndarray:
    """Return float64 numbers in main memory."""
    return values.detach().double().cpu().numpy()


def _draw(figure: "Picture", place: "Axes", axes: list[np.ndarray], panel: Panel) -> None:
    if len(axes) == 1:
        place.plot(axes[0], panel.values)
        place.grid(alpha=0.3)
        return
    low, high = panel.low, panel.high
    mesh = place.pcolormesh(*axes, panel.values.T, vmin=low, vmax=high, cmap=panel.colours, shading="nearest")
    figure.colorbar(mesh, ax=place)
