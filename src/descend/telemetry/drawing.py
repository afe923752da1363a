"""The picture of functions over a domain of one or two variables: what was found, what is exact, and the error."""

import io
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from descend.types import Drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh


def solution_picture(drawing: Drawing, title: str = "") -> bytes:
    """Draw a row for each function: found, exact, error; of one variable as curves, of two as colours.

    Returns:
        A PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = [panels(name, drawing) for name in drawing.found]
    columns = max(map(len, rows))
    figure = Figure(figsize=(4 * columns, 3 * len(rows) + 0.4), dpi=90, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    variables = list(drawing.axes)
    axes = [array(coordinates) for coordinates in drawing.axes.values()]
    for places, row in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for place, (label, values) in zip(places, row.items(), strict=False):
            mesh = _draw(place, axes, values, signed=label.endswith("error"))
            if mesh is not None:
                figure.colorbar(mesh, ax=place)
            place.set(title=label, xlabel=variables[0], ylabel="".join(variables[1:]))
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def panels(name: str, drawing: Drawing) -> dict[str, np.ndarray]:
    """Return what is drawn of one function, by its title."""
    found = array(drawing.found[name])
    if name not in drawing.exact:
        return {f"{name}, found": found}
    exact = array(drawing.exact[name])
    return {f"{name}, found": found, f"{name}, exact": exact, f"{name}, error": found - exact}


def array(values: Tensor) -> np.ndarray:
    """Return float64 numbers in main memory."""
    return values.detach().double().cpu().numpy()


def _draw(place: "Axes", axes: list[np.ndarray], values: np.ndarray, signed: bool) -> "QuadMesh | None":
    """Draw a curve, or colours, which are returned; those of `signed` values are white at 0."""
    if len(axes) == 1:
        place.plot(axes[0], values, color="crimson" if signed else "tab:blue")
        place.grid(alpha=0.3)
        return None
    limit = np.abs(values).max()
    limits = {"vmin": -limit, "vmax": limit} if signed else {}
    return place.pcolormesh(*axes, values.T, shading="nearest", cmap="RdBu_r" if signed else "viridis", **limits)
