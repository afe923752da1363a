"""The best of k trials against all ways to choose them."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descend.statistics.tuning import best_of

QUANTILES = np.array([0.05, 0.25, 0.5, 0.95])


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=8))
def test_it_is_the_quantile_over_all_subsets(values: list[int]) -> None:
    found = best_of(np.array(values, float), QUANTILES)
    for k in range(1, len(values) + 1):
        best = [min(chosen) for chosen in combinations(values, k)]
        assert found[:, k - 1].tolist() == np.quantile(best, QUANTILES, method="inverted_cdf").tolist()


def test_it_falls_to_the_best_of_all() -> None:
    values = np.random.default_rng(0).normal(size=200)
    found = best_of(values, QUANTILES)
    assert (np.diff(found, axis=1) <= 0).all()
    assert found[:, -1] == pytest.approx(values.min())


def test_trials_that_failed_are_worst() -> None:
    found = best_of(np.array([1.0, np.inf, np.inf]), np.array([0.5]))
    assert found.tolist() == [[np.inf, 1.0, 1.0]]
