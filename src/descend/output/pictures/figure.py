"""Figures without a window, as PNG files."""

from base64 import b64encode
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from descend.output.pictures.canvas import Picture

PanelGrid: TypeAlias = "tuple[Picture, list[Axes]]"

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#B8A800")
"""The colours of Okabe and Ito (2008), told apart by the colour-blind; the yellow is darker, to be seen on white."""

DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.5, 1.5, 1.5)))
"""They tell apart the lines of one colour."""


class LineStyle(NamedTuple):
    """How a line is drawn: its places among the colours and among the dashes."""

    colour: int
    dash: int

    @property
    def drawn(self) -> dict[str, Any]:
        """The same for matplotlib."""
        return {"color": OKABE_ITO[self.colour], "linestyle": DASHES[self.dash]}


def nth_style(place: int, repeated: int = 0) -> LineStyle:
    """Return the style of a line: a colour by its place, dashes beyond eight places or where the place is repeated."""
    return LineStyle(place % len(OKABE_ITO), (place // len(OKABE_ITO) + repeated) % len(DASHES))


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
