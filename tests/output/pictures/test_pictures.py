"""The picture of a path: what it shows, and that nothing a run can do breaks it."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from descend.output.pictures.path import curve, path_picture, surface, window
from descend.records import Column, Records
from descend.types import Params

X = {"x": torch.zeros(2, dtype=torch.float64)}


def bowl(params: Params) -> Tensor:
    return (params["x"] ** 2 * torch.tensor([1.0, 4.0], dtype=torch.float64)).sum()


def blocks(path: np.ndarray, size: int = 7) -> list[Records]:
    """The records of a run along `path` [k, 2], cut into blocks."""
    steps = np.arange(len(path))
    columns = {"parameter/x[0]": path[:, 0], "parameter/x[1]": path[:, 1]}
    return [
        Records({name: Column(steps[i : i + size], numbers[i : i + size]) for name, numbers in columns.items()})
        for i in range(0, len(path), size)
    ]


def spiral(k: int = 60) -> np.ndarray:
    t = np.linspace(0, 12, k)
    return np.exp(-t / 4)[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def count(png: bytes, colour: tuple[int, int, int], within: int = 40) -> int:
    return int((np.abs(pixels(png) - colour).max(axis=-1) <= within).sum())


CRIMSON, GOLD = (220, 20, 60), (255, 215, 0)


def test_path_contours_and_minimum_are_there() -> None:
    png = path_picture(bowl, X, blocks(spiral()), [[0.0, 0.0]], "a bowl")
    assert png is not None
    assert count(png, CRIMSON) > 500
    assert count(png, GOLD) > 50
    # The contours fill the picture with many shades of blue.
    blues = {tuple(pixel) for pixel in pixels(png)[100:500:4, 100:600:4].reshape(-1, 3) if pixel[2] > pixel[0] + 20}
    assert len(blues) > 8
    unmarked = path_picture(bowl, X, blocks(spiral()))
    assert unmarked is not None
    assert count(unmarked, GOLD) == 0


def test_two_parameters_of_one_number_each_are_drawn_too() -> None:
    params = {"a": torch.tensor(0.0), "b": torch.tensor(0.0)}
    renamed = [
        Records({name.replace("x[0]", "a").replace("x[1]", "b"): c for name, c in block.scalars.items()})
        for block in blocks(spiral())
    ]
    assert path_picture(lambda p: p["a"] ** 2 + p["b"] ** 2, params, renamed) is not None


@pytest.mark.parametrize("size", [1, 3])
def test_other_numbers_of_parameters_have_no_picture(size: int) -> None:
    assert path_picture(bowl, {"x": torch.zeros(size)}, blocks(spiral())) is None


def test_a_path_that_was_not_recorded_has_no_picture() -> None:
    assert path_picture(bowl, X, []) is None
    assert path_picture(bowl, X, blocks(spiral(2))) is None


EXTREMES = {
    "runs away": np.cumprod(np.full((150, 2), -90.0), axis=0),
    "ends in nan": np.concatenate([spiral(20), np.full((3, 2), np.nan)]),
    "is nan": np.full((20, 2), np.nan),
    "stands still": np.full((20, 2), 0.3),
    "stands at zero": np.zeros((20, 2)),
    "along one axis": np.stack([np.linspace(0, 1, 20), np.zeros(20)], axis=1),
}
LOSSES = {
    "bowl": bowl,
    "constant": lambda p: 0 * p["x"].sum() + 3,
    "nan": lambda p: p["x"].sum() * torch.nan,
    "logarithm": lambda p: torch.log(p["x"]).sum(),
    "huge": lambda p: torch.exp(1e3 * p["x"]).sum(),
    "branch": lambda p: p["x"].sum() if p["x"][0] > 0.2 else (p["x"] ** 2).sum(),
}


@pytest.mark.parametrize("path", EXTREMES.values(), ids=EXTREMES.keys())
@pytest.mark.parametrize("targets", [[], [[0.0, 0.0]]], ids=["unknown", "known"])
def test_no_path_breaks_it(path: np.ndarray, targets: list) -> None:
    png = path_picture(bowl, X, blocks(path), targets)
    assert (png is None) == bool(np.isnan(path[0, 0]))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_no_function_breaks_it(loss: Callable[[Params], Tensor]) -> None:
    assert path_picture(loss, X, blocks(spiral())) is not None


def test_the_surface_is_the_loss_at_every_point_batched_or_not() -> None:
    x, y = np.linspace(-1, 1, 5), np.linspace(0, 2, 4)
    for loss in (bowl, LOSSES["branch"]):
        expected = [[float(loss({"x": torch.tensor([a, b], dtype=torch.float64)})) for a in x] for b in y]
        np.testing.assert_allclose(surface(loss, X, x, y), expected, rtol=1e-15)


def test_the_window_holds_path_and_minimisers() -> None:
    path, targets = spiral(), np.array([[3.0, -2.0]])
    for (low, high), points in zip(window(path, targets), np.concatenate([path, targets]).T, strict=True):
        assert low < points.min() <= points.max() < high
        assert high - low < 1.3 * np.ptp(points)


def test_the_window_does_not_follow_a_path_that_runs_away() -> None:
    path = np.concatenate([spiral(20), np.full((5, 2), 1e30)])
    for low, high in window(path, np.zeros((1, 2))):
        assert -3 < low < high < 3


def test_a_curve_runs_over_all_blocks() -> None:
    np.testing.assert_array_equal(curve(blocks(spiral(20)), "parameter/x[1]"), spiral(20)[:, 1])
    assert curve(blocks(spiral(20)), "missing").shape == (0,)
