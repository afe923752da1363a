"""Figures without a window, as PNG files."""

from base64 import b64encode
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture

PanelGrid: TypeAlias = "tuple[Picture, list[Axes]]"

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")


def blank(width: float, height: float, dpi: int) -> "Picture":
    """Return an empty figure of this size in inches, laid out by its content; matplotlib is imported only here."""
    from descend.output.pictures.canvas import Picture

    return Picture(width, height, dpi)


def panel_grid(count: int, most: int, each: tuple[float, float], margin: tuple[float, float], dpi: int) -> PanelGrid:
    """Return a figure with so many axes, at most `most` side by side.

    Args:
        each, margin: width and height of a panel, and of what stands around all, in inches.
    """
    across = min(count, most)
    down = -(-count // across)
    figure = blank(margin[0] + each[0] * across, margin[1] + each[1] * down, dpi)
    places = figure.subplots(down, across, squeeze=False).flatten().tolist()
    for axes in places[count:]:
        axes.set_axis_off()
    return figure, places[:count]


def png(figure: "Picture") -> bytes:
    """Return a figure as the content of a PNG file."""
    return figure._repr_png_()


def data_uri(picture: bytes) -> str:
    """Return a PNG file as a data URI, for a page that needs no other file."""
    return f"data:image/png;base64,{b64encode(picture).decode()}"


def colours_of(count: int) -> list[Any]:
    """Return so many colours: those of Okabe and Ito (2008), told apart by the colour-blind, or of a map where more."""
    if count <= len(OKABE_ITO):
        return list(OKABE_ITO[:count])
    import matplotlib

    return [matplotlib.colormaps["turbo"](i / (count - 1)) for i in range(count)]
