"""Profiles and scores: AlgoPerf's published leaderboard, and the definitions on an example small enough to see."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from descend.statistics.profiles import algoperf_score, data_profile, performance_profile

# Seconds to the target of each workload, the median of five studies, read from the logs that MLCommons published
# (mlcommons/submissions_algorithms, previous_leaderboards/algoperf_v05/logs/external_tuning; Apache-2.0).
TIMES = pl.read_csv(Path(__file__).parent / "algoperf_times.csv")
BASE, HELD_OUT = TIMES.columns[1:9], TIMES.columns[9:]

# The scores in that leaderboard's README.
PUBLISHED = {
    "shampoo_submission": 0.7784,
    "schedule_free_adamw": 0.7077,
    "generalized_adam": 0.6383,
    "cyclic_lr": 0.6301,
    "nadamp": 0.5909,
    "baseline": 0.5707,
    "amos": 0.4918,
    "caspr_adaptive": 0.4722,
    "lawa_queue": 0.3699,
    "lawa_ema": 0.3384,
    "schedule_free_prodigy": 0.0,
}


@pytest.fixture(scope="module")
def costs() -> np.ndarray:
    """Times on the base workloads by the competition's rules: one counts if its held-out variant was solved."""
    times = {name: TIMES[name].to_numpy().copy() for name in TIMES.columns[1:]}
    base_of = {name: max((base for base in BASE if name.startswith(base)), key=len) for name in HELD_OUT}
    for variant, base in base_of.items():
        times[variant][np.isinf(times[base])] = np.inf
    for found in times.values():
        found[found > 4 * found.min()] = np.inf
    for variant, base in base_of.items():
        times[base][np.isinf(times[variant])] = np.inf
    return np.array([times[name] for name in BASE]).T


def test_algoperfs_published_scores(costs: np.ndarray) -> None:
    """They integrated the profile by trapezoids over 100 points; the exact integral differs by half a cell at most."""
    factors = np.linspace(1, 4, 100)
    published = [PUBLISHED[name] for name in TIMES["submission"]]
    by_trapezoids = np.trapezoid(performance_profile(costs, factors), factors, axis=1) / 3
    assert by_trapezoids.round(4).tolist() == published
    assert algoperf_score(costs) == pytest.approx(published, abs=0.5 / 99)


COSTS = np.array([[10.0, 20.0, np.inf, np.inf], [20.0, 10.0, 30.0, np.inf]])


def test_performance_profile_by_hand() -> None:
    """The last problem is solved by none, and counts."""
    found = performance_profile(COSTS, np.array([1.0, 1.9, 2.0, 1e9]))
    assert found.tolist() == [[0.25, 0.25, 0.5, 0.5], [0.5, 0.5, 0.75, 0.75]]


def test_data_profile_by_hand_and_free_of_the_others() -> None:
    dimensions, budgets = np.array([1, 1, 2, 2]), np.array([4.0, 5.0, 10.0])
    found = data_profile(COSTS, dimensions, budgets)
    assert found.tolist() == [[0, 0.25, 0.5], [0, 0.25, 0.75]]
    assert data_profile(COSTS[:1], dimensions, budgets).tolist() == found[:1].tolist()


def test_the_score_is_the_area_under_the_profile() -> None:
    factors = np.linspace(1, 4, 30_001)
    area = np.trapezoid(performance_profile(COSTS, factors), factors, axis=1) / 3
    assert algoperf_score(COSTS) == pytest.approx(area, abs=1e-4)
