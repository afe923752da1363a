"""The loss over a plane, with paths in it: a quadratic's in closed form, what is left out, and the numbers on disk."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.landscapes.landscape import Landscape, Terrain, landscape_in
from descend.landscapes.plane import Plane, pca_plane
from descend.landscapes.track import Trajectory
from descend.types import Loss, Params

N = 12
CURVATURE = torch.linspace(1, 30, N, dtype=torch.float64)


def bowl(params: Params) -> Tensor:
    return 0.5 * (CURVATURE * params["x"] ** 2).sum()


def descent(start: Tensor, rate: float = 0.02, steps: int = 40) -> Tensor:
    """Gradient descent on the bowl in closed form: xₖ = (1 - η h)ᵏ x₀."""
    powers = torch.arange(steps + 1, dtype=torch.float64)[:, None]
    return (1 - rate * CURVATURE) ** powers * start


def drawn_over(
    plane: Plane, paths: Sequence[Tensor], loss: Loss = bowl, points: int = 9, reach: float = 0
) -> Landscape:
    trajectories = {f"run {i}": Trajectory.of(range(len(path)), path) for i, path in enumerate(paths)}
    terrain = Terrain(loss, {"x": paths[0][-1]}, "bowl")
    return landscape_in(plane, terrain, trajectories, 9, reach)


def test_a_quadratic_along_its_principal_components() -> None:
    """f(c + a u + b v) = ½ cᵀHc + a cᵀHu + b cᵀHv + ½ a² uᵀHu + ab uᵀHv + ½ b² vᵀHv."""
    path = descent(torch.ones(N, dtype=torch.float64))
    plane = pca_plane(path)
    found = drawn_over(plane, [path])
    c, (u, v), h = plane.origin, plane.directions, torch.diag(CURVATURE)
    a, b = found.across, found.up[:, None]
    linear = a * float(c @ h @ u) + b * float(c @ h @ v)
    square = a**2 * float(u @ h @ u) / 2 + a * b * float(u @ h @ v) + b**2 * float(v @ h @ v) / 2
    np.testing.assert_allclose(found.heights, float(c @ h @ c) / 2 + linear + square, rtol=1e-12)
    [track] = found.tracks.values()
    middle = path - path.mean(0)
    rest = middle - (middle @ plane.directions.T) @ plane.directions
    extent = (path - path[-1]).norm(dim=1).max()
    np.testing.assert_allclose(track.outside, rest.norm(dim=1) / extent, atol=1e-13)
    assert found.end == pytest.approx(float(bowl({"x": path[-1]})), rel=1e-14)
    projected = c + (middle[-1] @ plane.directions.T) @ plane.directions
    assert found.projected == pytest.approx(float(bowl({"x": projected})), rel=1e-10)
    assert found.projected != found.end


def test_the_grid_holds_every_path_and_reaches_as_far_as_asked() -> None:
    paths = [descent(x) for x in torch.randn(3, N, generator=torch.Generator().manual_seed(0), dtype=torch.float64)]
    found = drawn_over(pca_plane(torch.cat(paths)), paths)
    for track in found.tracks.values():
        for values, axis in zip(track.coordinates.T, (found.across, found.up), strict=True):
            assert axis[0] < values.min()
            assert values.max() < axis[-1]
    wide = drawn_over(Plane(paths[0][-1], 100 * torch.eye(2, N, dtype=torch.float64), ("a", "b")), paths[:1], reach=1)
    assert wide.across[0] < -1
    assert wide.up[-1] > 1


def test_snapshots_that_are_not_finite_are_left_out_and_counted() -> None:
    path = descent(torch.ones(N, dtype=torch.float64), steps=9)
    path[8, 2], path[9] = torch.inf, torch.nan
    trajectory = Trajectory.of(range(0, 100, 10), path)
    assert trajectory.steps.tolist() == list(range(0, 80, 10))
    assert trajectory.left_out == 2
    assert trajectory.points.equal(path[:8])


def test_a_loss_that_is_finite_nowhere_is_refused() -> None:
    path = descent(torch.ones(N, dtype=torch.float64))
    with pytest.raises(ConfigurationError, match="finite nowhere"):
        drawn_over(pca_plane(path), [path], loss=lambda p: (p["x"] * torch.nan).sum())


def test_the_picture_and_the_numbers() -> None:
    path = descent(torch.ones(N, dtype=torch.float64))
    found = drawn_over(pca_plane(path), [path, path[:1]])
    arrays = found.arrays()
    assert arrays["heights"].shape == (9, 9)
    assert arrays["coordinates/0"].shape == (41, 2)
    assert arrays["coordinates/1"].shape == (1, 2)
    assert arrays["runs"].tolist() == ["run 0", "run 1"]
    figure = found.plot()
    axes = figure.axes[0]
    share = found.tracks["run 0"].outside.max()
    assert f"by up to {share:.1%} of its extent" in axes.get_title().replace("\n", " ")
    assert axes.get_xlabel() == found.labels[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["end of run 0", "end of run 1"]
    lines = [line.get_xydata() for line in axes.lines]
    assert any(np.array_equal(line, found.tracks["run 0"].coordinates) for line in lines)
