"""Figures without a window, as PNG files."""

import io
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")


def blank(width: float, height: float, dpi: int) -> "Figure":
    """Return an empty figure of this size in inches, laid out by its content; matplotlib is imported only here."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: "Figure") -> bytes:
    """Return a figure as the content of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def colours_of(count: int) -> list[Any]:
    """Return so many colours: those of Okabe and Ito (2008), told apart by the colour-blind, or of a map where more."""
    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    import matplotlib

    return [matplotlib.colormaps["turbo"](i / (count - 1)) for i in range(count)]
