"""Jobs that differ in numbers share a program; everything else is structure."""

from typing import Any

import pytest

from descend.errors import ConfigurationError
from descend.sweeps.group import groups
from descend.sweeps.job import Group
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

QUIET = ["objective=rosenbrock", "metrics=none", "derivatives=none"]


def grouped(*overrides: str) -> list[Group]:
    return groups(jobs([*QUIET, *overrides], Grid()), built)


def test_numbers_seeds_and_starts_share_a_program() -> None:
    (group,) = grouped(
        "optimizer.lr=0.1,0.2", "seed=0,1", "objective.start=[0.0,1.0],[2.0,3.0]", "objective.b=1.0,10.0"
    )
    assert len(group.jobs) == 16
    assert set(group.numbers) == {("optimizer", "lr"), ("objective", "b")}
    assert sorted(set(group.seeds)) == [0, 1]
    starts: list[Any] = [vars(objective)["start"] for objective in group.objectives]
    assert {tuple(start) for start in starts} == {(0.0, 1.0), (2.0, 3.0)}
    for i, job in enumerate(group.jobs):
        assert group.numbers["optimizer", "lr"][i] == float(job.swept["optimizer.lr"])
        assert group.seeds[i] == int(job.swept["seed"])


def test_elements_of_a_pair_are_numbers() -> None:
    (group,) = grouped("optimizer.betas.0=0.5,0.9", "optimizer.betas.1=0.99,0.999")
    assert set(group.numbers) == {("optimizer", "betas", 0), ("optimizer", "betas", 1)}


def test_lists_of_numbers_are_stacked_whichever_of_their_elements_differ() -> None:
    (group,) = grouped("optimizer.betas=[0.5,0.99],[0.9,0.99],[0.9,0.999]", "optimizer.lr=0.1,0.2")
    assert group.numbers["optimizer", "betas", 0] == [0.5, 0.5, 0.9, 0.9, 0.9, 0.9]
    assert group.numbers["optimizer", "betas", 1] == [0.99, 0.99, 0.99, 0.99, 0.999, 0.999]
    found = grouped("optimizer.betas=[0.0,0.99],[0.9,0.99],[0.5,0.9]")  # an element that is 0 is structure
    assert sorted(len(group.jobs) for group in found) == [1, 2]


def test_a_list_with_a_number_out_of_bounds_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"betas\[1\] is 1\.5.*optimizer\.betas=\[0\.9,1\.5\]"):
        grouped("optimizer.betas=[0.5,0.99],[0.9,1.5]")


def test_choices_whole_numbers_and_steps_are_structure() -> None:
    assert len(grouped("optimizer=sgd,adam", "optimizer.lr=0.1,0.2")) == 2
    assert len(grouped("objective.dim=2,3,4")) == 3
    assert len(grouped("steps=1,2")) == 2


def test_a_number_that_is_zero_is_structure() -> None:
    found = grouped("optimizer.weight_decay=0,0.1,0.2", "seed=0,1")
    assert sorted(len(group.jobs) for group in found) == [2, 4]


def test_a_number_is_found_where_an_interpolation_takes_it() -> None:
    small = ["objective=digits_mlp", "objective.network.hidden=[4]", "metrics=none", "derivatives=none"]
    (group,) = groups(jobs([*small, "op=soft_threshold", "op.threshold=0.1,0.2"], Grid()), built)
    assert list(group.numbers) == [("objective", "network", "activation", "threshold")]


def test_what_is_not_made_of_tensor_operations_is_serial() -> None:
    (group,) = grouped("optimizer=torch", "optimizer.lr=0.1,0.2")
    assert "TorchOptim" in (group.serial or "")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("optimizer.lr=0.1,-1,0.2", r"lr is -1.*optimizer\.lr=-1"),
        ("optimizer.lr=0.1,abc", "abc"),
        ("optimizer.lrr=1,2", "lrr does not exist"),
        ("optimizer=adam,adma", "adma"),
    ],
)
def test_a_mistake_in_the_middle_of_a_list_is_named(override: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        grouped(override)
