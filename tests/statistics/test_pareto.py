"""Pareto fronts and hypervolumes against moocore 0.3.2."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from descend.statistics.pareto import hypervolume, pareto_front

PLANE = np.array([[1, 5], [2, 3], [3, 3.5], [4, 1], [5, 0.5], [7, 0.4]], float)
SPACE = np.array(
    [[i * 17 % 23 / 23, (i * 29 + 5) % 31 / 31, (i * 11 + 3) % 19 / 19, (i * 37 + 1) % 41 / 41] for i in range(20)]
)


def test_hypervolume_is_moocores() -> None:
    """`moocore.hypervolume`."""
    assert hypervolume(PLANE, np.array([6.0, 6.0])) == pytest.approx(17.5, rel=1e-14)
    assert hypervolume(SPACE[:, :3], np.ones(3)) == pytest.approx(0.8421052631578947, rel=1e-14)
    assert hypervolume(SPACE, np.array([1, 1, 1, 1.1])) == pytest.approx(0.8609282587990863, rel=1e-14)


def test_front_is_moocores() -> None:
    """`moocore.is_nondominated`."""
    assert np.flatnonzero(pareto_front(SPACE[:, :3])).tolist() == [0, 2, 17, 18]


def test_equal_points_are_both_on_the_front_and_infinite_ones_never() -> None:
    points = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, np.inf], [np.nan, 0.0]])
    assert pareto_front(points).tolist() == [True, True, False, False]
    assert hypervolume(points[:2], np.array([2.0, 3.0])) == 1
    assert hypervolume(points[2:], np.array([2.0, 3.0])) == 0


POINTS = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(1, 3)), elements=st.integers(0, 4).map(float))


@given(POINTS)
def test_hypervolume_counts_the_cells_that_are_dominated(points: np.ndarray) -> None:
    """Of points on a grid: each cell of side 1 below the reference is dominated or not."""
    cells = np.stack(np.meshgrid(*[np.arange(5)] * points.shape[1]), axis=-1).reshape(-1, points.shape[1])
    dominated = (points[:, None] <= cells).all(axis=2).any(axis=0).sum()
    assert hypervolume(points, np.full(points.shape[1], 5.0)) == pytest.approx(dominated)


@given(POINTS)
def test_the_front_alone_has_the_hypervolume_of_all(points: np.ndarray) -> None:
    reference = np.full(points.shape[1], 5.0)
    front = points[pareto_front(points)]
    assert hypervolume(front, reference) == pytest.approx(hypervolume(points, reference))
