"""The picture of functions over a domain: a panel for each, curves or colours."""

import io

import numpy as np
import torch
from PIL import Image

from descend.output.pictures.drawing import panels, solution_picture
from descend.types import Drawing

X = torch.linspace(0, 1, 20, dtype=torch.float64)
Y = torch.linspace(0, 2, 30, dtype=torch.float64)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def plane() -> Drawing:
    """Found is x + y, exact is less by x: the error is x."""
    found = X[:, None] + Y
    return Drawing({"x": X, "y": Y}, {"u": found}, {"u": found - X[:, None]})


def test_the_error_is_found_less_exact() -> None:
    found, exact, error = panels("u", plane())
    assert [panel.title for panel in (found, exact, error)] == ["u, found", "u, exact", "u, error"]
    np.testing.assert_allclose(error.values, np.broadcast_to(X.numpy()[:, None], (20, 30)))
    assert (found.low, found.high) == (exact.low, exact.high) == (0, 3)
    assert (error.low, error.high) == (-1, 1)


def test_three_panels_in_a_row_of_which_the_error_is_white_where_it_is_none() -> None:
    image = pixels(solution_picture(plane(), "plane"))
    height, width, _ = image.shape
    assert width > 2.5 * height
    middle = image[height // 2]
    # The first variable runs to the right: in the last panel x = 0, where there is no error, lies left.
    last = middle[2 * width // 3 :]
    reds = np.flatnonzero((last[:, 0] > 90) & (last[:, 1] < 20) & (last[:, 2] < 60))
    pale = np.flatnonzero((last.min(axis=1) > 225) & (last.max(axis=1) < 255))
    assert reds.size
    assert pale.size
    assert pale.min() < reds.min()


def test_curves_and_what_has_no_exact_solution() -> None:
    drawing = Drawing({"t": X}, {"u": X, "v": X**2}, {"v": X**2})
    assert [panel.title for panel in panels("u", drawing)] == ["u, found"]
    image = pixels(solution_picture(drawing))
    blue = np.abs(image - (31, 119, 180)).max(axis=-1) < 40
    height, width = blue.shape
    assert blue[: height // 2, : width // 3].any()
    assert not blue[: height // 2, width // 3 :].any()
    assert blue[height // 2 :, width // 3 : 2 * width // 3].any()
