"""Middles, intervals and probabilities against rliable 1.2.0, and the coverage of the intervals."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import mannwhitneyu, quantile_test, trim_mean

from descend.statistics.estimates import (
    bootstrap_interval,
    interquartile_mean,
    median_interval,
    probability_of_improvement,
)

# Ten runs of three tasks, and eight of three others.
X = np.array([[(7 * i * i + 13 * j * j + 5 * i * j) % 101 / 10 for j in range(3)] for i in range(10)])
Y = np.array([[(11 * i * i + 3 * j * j + 7 * i * j + 4) % 97 / 10 for j in range(3)] for i in range(8)])


def test_iqm_is_rliables() -> None:
    """`rliable.metrics.aggregate_iqm`."""
    assert interquartile_mean(X.ravel()) == pytest.approx(4.91875, rel=1e-12)
    assert interquartile_mean(Y.ravel()) == pytest.approx(3.725, rel=1e-12)


@given(arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6)))
def test_iqm_is_scipys_trimmed_mean(values: np.ndarray) -> None:
    assert interquartile_mean(values) == pytest.approx(trim_mean(values, 0.25), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("runs", "low", "high"), [(X, 3.425, 6.20625), (Y, 2.21666667, 5.35)])
def test_intervals_are_rliables(runs: np.ndarray, low: float, high: float) -> None:
    """`rliable.library.get_interval_estimates(…, reps=50000)`; ends by 2,000 resamples spread by about 0.05."""
    found = bootstrap_interval(list(runs.T))
    assert found == pytest.approx((low, high), abs=0.12)


def test_strata_matter() -> None:
    """Two tasks of constant results: nothing is uncertain, though the results as one pile would be."""
    tasks = [np.full(5, 1.0), np.full(5, 9.0)]
    assert bootstrap_interval(tasks) == (5.0, 5.0)
    low, high = bootstrap_interval([np.concatenate(tasks)])
    assert low < 5 < high


def test_an_interval_may_end_at_infinity_but_is_never_nan() -> None:
    runs = np.array([1.0, 2.0, 3.0, 4.0, 5.0, np.inf])
    low, high = bootstrap_interval([runs])
    assert low < 4
    assert high == np.inf
    assert np.isnan(bootstrap_interval([runs[:4]])).all()


def test_the_same_runs_have_the_same_interval() -> None:
    assert bootstrap_interval([X[:, 0]]) == bootstrap_interval([X[:, 0]])
    assert bootstrap_interval([X[:, 0]]) != bootstrap_interval([X[:, 0]], seed=1)


def test_probability_of_improvement_is_rliables() -> None:
    """Its P(X > Y) of the first task is 0.4875, of all three on average 0.5625; here lower is better."""
    assert probability_of_improvement(-X[:, 0], -Y[:, 0]) == pytest.approx(0.4875, rel=1e-12)
    found = [probability_of_improvement(-X[:, j], -Y[:, j]) for j in range(3)]
    assert np.mean(found) == pytest.approx(0.5625, rel=1e-12)


FEW = arrays(np.float64, st.integers(1, 8), elements=st.integers(-3, 3).map(float))


@given(FEW, FEW)
def test_probability_of_improvement_is_mann_whitneys_u(ours: np.ndarray, theirs: np.ndarray) -> None:
    u = mannwhitneyu(theirs, ours, method="asymptotic").statistic
    found = probability_of_improvement(ours, theirs)
    assert found == pytest.approx(u / (len(ours) * len(theirs)), abs=1e-12)
    assert found + probability_of_improvement(theirs, ours) == pytest.approx(1)


def test_runs_that_failed_are_worst_and_equal() -> None:
    inf = np.inf
    assert probability_of_improvement(np.array([1.0, inf]), np.array([inf, inf])) == 0.75


DRAWS = {
    "normal": (lambda generator, size: generator.normal(size=size), 0.0),
    # The mean of Exp(1) between its quartiles: 2 ∫ −log(1 − u) du over [1/4, 3/4].
    "exponential": (lambda generator, size: generator.exponential(size=size), 1 - 1.5 * log(0.75) + 0.5 * log(0.25)),
    "student": (lambda generator, size: generator.standard_t(3, size=size), 0.0),
}


@pytest.mark.parametrize("name", DRAWS)
def test_intervals_cover_the_truth(name: str) -> None:
    """Five tasks with twenty runs each, six hundred times: the distribution's own IQM is inside 95 ± 2% of the time."""
    draw, truth = DRAWS[name]
    generator = np.random.default_rng(3)
    intervals = np.array([bootstrap_interval(list(draw(generator, (5, 20))), seed=each) for each in range(600)])
    inside = (intervals[:, 0] <= truth) & (truth <= intervals[:, 1])
    assert inside.mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("count", [6, 8, 9, 25, 400])
def test_intervals_of_a_median_are_a_little_inside_scipys(count: int) -> None:
    """`quantile_test` ends at the results that cover at least 95%; ours go from there towards the next inside."""
    ordered = np.sort(np.random.default_rng(count).normal(size=count))
    outer = quantile_test(ordered, p=0.5).confidence_interval()
    place = int(np.searchsorted(ordered, outer.low))
    low, high = median_interval(ordered)
    assert ordered[place] <= low <= ordered[place + 1]
    assert ordered[-place - 2] <= high <= ordered[-place - 1]


@pytest.mark.parametrize(("draw", "truth"), [("normal", 0.0), ("exponential", log(2)), ("standard_cauchy", 0.0)])
def test_intervals_of_the_median_of_eight_runs_cover_it(draw: str, truth: float) -> None:
    drawn = getattr(np.random.default_rng(3), draw)(size=(4000, 8))
    ends = np.array(list(map(median_interval, drawn)))
    inside = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
    assert inside.mean() == pytest.approx(0.95, abs=0.02)


def test_the_interval_of_a_median_has_no_end_where_too_few_runs_ended() -> None:
    low, high = median_interval(np.array([3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, np.inf]))
    assert (1 < low < 2, high) == (True, np.inf)
    assert np.isnan(median_interval(np.arange(5.0))).all()
