"""The plane of a path: against scikit-learn's PCA, and the distances from it against their definition."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor

from descend.errors import ConfigurationError
from descend.landscapes.plane import Plane, pca_plane


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def walk(k: int, n: int) -> Tensor:
    return drawn(k, n).cumsum(0) * torch.linspace(0.1, 2, n, dtype=torch.float64)


@pytest.mark.parametrize(("k", "n"), [(3, 2), (3, 40), (40, 5), (20, 300)])
def test_the_components_are_those_of_scikit_learn(k: int, n: int) -> None:
    points = walk(k, n)
    plane, expected = pca_plane(points), PCA(2, svd_solver="full").fit(points.numpy())
    signs = np.sign((plane.directions.numpy() * expected.components_).sum(1))
    np.testing.assert_allclose(plane.directions.numpy(), signs[:, None] * expected.components_, atol=1e-10)
    np.testing.assert_allclose(plane.origin.numpy(), expected.mean_, atol=1e-12)
    coordinates = plane.coordinates(points)
    np.testing.assert_allclose(coordinates.numpy(), signs * expected.transform(points.numpy()), atol=1e-9)
    back = expected.inverse_transform(expected.transform(points.numpy()))
    np.testing.assert_allclose(plane.points(coordinates).numpy(), back, atol=1e-9)
    outside = np.linalg.norm(points.numpy() - back, axis=1)
    np.testing.assert_allclose(plane.distances(points).numpy(), outside, atol=1e-9)
    for label, share in zip(plane.labels, expected.explained_variance_ratio_, strict=True):
        assert f"{share:.1%} of the snapshots' variance" in label


def test_a_path_within_a_plane_does_not_leave_it() -> None:
    inside = drawn(30, 2) @ drawn(2, 500, seed=1) + drawn(500, seed=2)
    assert pca_plane(inside).distances(inside).max() < 1e-12


def test_coordinates_in_a_plane_whose_directions_are_oblique() -> None:
    plane = Plane(drawn(7), torch.stack([drawn(7, seed=1), 3 * drawn(7, seed=1) + drawn(7, seed=2)]), ("a", "b"))
    wanted = drawn(5, 2, seed=3)
    found = plane.coordinates(plane.points(wanted))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    off = drawn(5, 7, seed=4)
    rest = off - plane.points(plane.coordinates(off))
    torch.testing.assert_close(rest @ plane.directions.T, torch.zeros(5, 2, dtype=torch.float64), rtol=0, atol=1e-12)


def test_a_line_is_no_plane() -> None:
    line = torch.linspace(0, 1, 9, dtype=torch.float64)[:, None] * drawn(6) + 5
    with pytest.raises(ConfigurationError, match="on a line"):
        pca_plane(line.float().double())  # as the snapshots of a network are
    with pytest.raises(ConfigurationError, match="on a line"):
        pca_plane(torch.ones(4, 6, dtype=torch.float64))


def test_two_snapshots_are_no_plane() -> None:
    with pytest.raises(ConfigurationError, match=r"needs 3 snapshots .* but 2 were kept"):
        pca_plane(drawn(2, 6))


@pytest.mark.parametrize("second", [0.0, 2.0])
def test_parallel_directions_span_no_plane(second: float) -> None:
    direction = drawn(6)
    with pytest.raises(ConfigurationError, match="span no plane"):
        Plane(drawn(6), torch.stack([direction, second * direction]), ("a", "b"))
