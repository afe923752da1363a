"""Paired tests against exact counts, and Holm's correction against statsmodels 0.15."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from descend.statistics.paired import holm, paired_p, pairs_needed


def by_counting(differences: np.ndarray) -> float:
    """The share of all signs of the differences whose rank sum is as far from the middle as theirs."""
    ranks = rankdata(abs(differences))
    middle = ranks.sum() / 2
    far = abs(ranks[differences > 0].sum() - middle)
    sums = [
        sum(rank for rank, sign in zip(ranks, signs, strict=True) if sign)
        for signs in product((0, 1), repeat=len(ranks))
    ]
    return float(np.mean([abs(each - middle) >= far - 1e-9 for each in sums]))


@given(st.lists(st.integers(-20, 20).filter(bool), min_size=1, max_size=9, unique_by=abs))
def test_wilcoxon_is_what_counting_gives(differences: list[int]) -> None:
    ours = np.array(differences, float)
    assert paired_p(ours, np.zeros(len(ours))) == pytest.approx(by_counting(ours), abs=1e-12)


def test_wilcoxons_own_example() -> None:
    """Darwin's maize, fifteen pairs (Fisher 1935); the p-value is in the manual of scipy's test."""
    differences = np.array([6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75], float)
    assert paired_p(differences, np.zeros(15)) == pytest.approx(0.041259765625, abs=1e-12)


def test_runs_that_failed_are_the_worst_rank() -> None:
    inf = np.inf
    both_failed = np.array([inf, inf, inf]), np.array([inf, inf, inf])
    assert paired_p(*both_failed) == 1
    assert paired_p(np.array([1.0, 2, 3, 4, 5, 6]), np.full(6, inf)) == pytest.approx(2 / 64)


@pytest.mark.parametrize("comparisons", range(1, 40))
def test_pairs_needed_is_the_smallest_number_that_can_do(comparisons: int) -> None:
    needed = pairs_needed(comparisons)
    least, before = (paired_p(np.arange(pairs) + 1.0, np.zeros(pairs)) for pairs in (needed, needed - 1))
    assert least * comparisons <= 0.05 < before * comparisons


def test_holm_is_statsmodels() -> None:
    """`statsmodels.stats.multitest.multipletests(method="holm")`."""
    found = holm(np.array([0.01, 0.04, 0.03, 0.005, 0.5]))
    assert found == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.5], abs=1e-15)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_only_raises_and_keeps_the_order(values: list[float]) -> None:
    p = np.array(values)
    found = holm(p)
    assert (found >= p).all()
    assert (found <= 1).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()
