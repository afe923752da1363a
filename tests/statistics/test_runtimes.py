"""Runtimes to a target against cocopp 2.9.1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from descend.statistics.runtimes import expected_runtime, first_hits, share_within, simulated_restarts

HITS = np.array([120, 300, 80, np.inf, np.inf])
LENGTHS = np.array([900.0, 900, 900, 1000, 500])


def test_expected_runtime_is_cocos() -> None:
    """`cocopp.toolsstats.sp([120, 300, 80, 1000, 500], issuccessful=[1, 1, 1, 0, 0])`."""
    assert expected_runtime(HITS, LENGTHS) == pytest.approx(666.6666666666666, rel=1e-14)


def test_simulated_restarts_have_cocos_distribution() -> None:
    """`cocopp.toolsstats.drawSP([120, 300, 80], [1000, 500], …, 20000)`: percentiles 10 to 90, and the mean."""
    drawn = simulated_restarts(HITS, LENGTHS, 20_000)
    assert np.quantile(drawn, [0.1, 0.25, 0.5, 0.75, 0.9], method="nearest").tolist() == [80, 120, 300, 1080, 1800]
    assert drawn.mean() == pytest.approx(665.783, rel=0.03)


def test_a_target_nobody_reached() -> None:
    never = np.array([np.inf, np.inf])
    assert expected_runtime(never, LENGTHS[:2]) == np.inf
    assert np.isinf(simulated_restarts(never, LENGTHS[:2], 5)).all()


def test_one_that_all_reached_needs_no_restart() -> None:
    drawn = simulated_restarts(HITS[:3], LENGTHS[:3], 1000)
    assert set(drawn) == {80.0, 120.0, 300.0}


def test_first_hits_are_of_the_lowest_so_far() -> None:
    values = np.array([np.nan, 5.0, 2.0, 3.0, np.nan, 1.0])
    found = first_hits(np.arange(6.0), values, np.array([5.0, 2.5, 1.0, 0.5]))
    assert found.tolist() == [1, 2, 5, np.inf]


@given(st.lists(st.floats(0, 100) | st.just(np.inf), min_size=1), st.lists(st.floats(0, 100), min_size=1))
def test_the_share_within_a_budget_is_a_count(runtimes: list[float], budgets: list[float]) -> None:
    found = share_within(np.array(runtimes), np.array(budgets))
    assert found == pytest.approx([np.mean([x <= budget for x in runtimes]) for budget in budgets])
