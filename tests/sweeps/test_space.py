"""Overrides become the jobs that Hydra's own sweeper would make, and intervals become numbers that survive as text."""

import numpy as np
import pytest
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from scipy.stats import qmc

from descend.errors import ConfigurationError
from descend.sweeps.space import Grid, Random, Sampling, Sobol, jobs


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=sgd,adam", "seed=range(0,3)"],
        ["a=1,2", "b=[1,2],[3,4]", "c='x y'"],
        ["+new=choice(1.5,2.5)", "++forced=1", "steps=10"],
        ["x=range(0,1,0.25)", "y={a:1},{a:2}"],
        ["seed=1,2", "seed=3,4"],
    ],
)
def test_jobs_are_those_of_hydras_basic_sweeper(overrides: list[str]) -> None:
    parsed = OverridesParser.create().parse_overrides(overrides)
    (expected,) = BasicSweeper.split_arguments(parsed, None)
    assert [list(job.overrides) for job in jobs(overrides, Grid())] == expected


def test_a_grid_takes_the_ends_of_an_interval() -> None:
    made = jobs(["lr=interval(0,1)"], Grid(points=5))
    assert [float(job.swept["lr"]) for job in made] == [0, 0.25, 0.5, 0.75, 1]


def test_a_log_interval_is_spaced_by_factors() -> None:
    values = [float(job.swept["lr"]) for job in jobs(["lr=tag(log,interval(1e-4,1))"], Grid(points=5))]
    assert values == pytest.approx(np.geomspace(1e-4, 1, 5))


def test_a_grid_of_two_intervals_has_every_combination() -> None:
    made = jobs(["a=interval(0,1)", "b=interval(2,3)", "seed=0,1"], Grid(points=3))
    assert len({(job.swept["a"], job.swept["b"], job.swept["seed"]) for job in made}) == 18


@pytest.mark.parametrize(
    ("sampling", "runs"), [(Grid(points=10**9), "2,000,000,000,000,000,000"), (Sobol(points=10**9), "2,000,000,000")]
)
def test_too_many_jobs_are_counted_not_made(sampling: Sampling, runs: str) -> None:
    with pytest.raises(ConfigurationError, match=f"has {runs} runs, more than 18;"):
        jobs(["a=interval(0,1)", "b=interval(2,3)", "seed=0,1"], sampling, most=18)
    assert len(jobs(["a=interval(0,1)", "b=interval(2,3)", "seed=0,1"], Grid(points=3), most=18)) == 18


def test_sobol_points_are_those_of_scipy_to_their_discrepancy() -> None:
    made = jobs(["a=interval(0,1)", "b=interval(0,1)"], Sobol(points=64))
    points = np.array([[float(job.swept["a"]), float(job.swept["b"])] for job in made])
    random = np.random.default_rng(0).random((64, 2))
    assert qmc.discrepancy(points) < qmc.discrepancy(random) / 4


def test_random_points_are_those_of_their_seed() -> None:
    first, again, other = (jobs(["a=interval(0,1)"], Random(points=8, seed=seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_numbers_survive_as_text() -> None:
    made = jobs(["a=tag(log,interval(1e-7,3))"], Grid(points=50))
    values = [float(job.swept["a"]) for job in made]
    assert [float(job.overrides[0].removeprefix("a=")) for job in made] == values


@pytest.mark.parametrize(
    ("overrides", "sampling", "said"),
    [
        (["a=interval(0,1)"], Grid(), "sweep.points"),
        (["a=tag(log,interval(0,1))"], Grid(points=3), "above 0"),
        (["a=range(0,0)", "b=1,2"], Grid(), "empty"),
    ],
)
def test_what_cannot_be_swept_is_refused(overrides: list[str], sampling: Grid, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        jobs(overrides, sampling)
