"""What runs are compared by, and which way is better."""

from collections.abc import Sequence

import polars as pl
import pytest

from descend.errors import ConfigurationError
from descend.output.report.measure import chosen_measure, default_measure
from descend.output.report.summary import with_rank


def table(**columns: Sequence[float | None]) -> pl.DataFrame:
    count = len(next(iter(columns.values())))
    return pl.DataFrame({"run": range(count), "status": ["finished"] * count, "value": [1.0] * count, **columns})


def test_by_default_a_validation_metric_then_the_raw_losses_then_the_total() -> None:
    losses = {"losses.a": [1.0], "losses.b": [2.0]}
    tested = {"metrics.accuracy": [0.5]}
    validated = {"metrics.validation_accuracy": [0.4]}
    assert default_measure(table(**tested, **validated, **losses)).label == "validation/accuracy"
    assert default_measure(table(**tested, **losses)).label == "sum of losses"
    assert default_measure(table(**tested)).label == "value"


@pytest.mark.parametrize(
    ("rank", "mode", "highest"),
    [
        ("test/accuracy", "auto", True),
        ("test/r_squared", "auto", True),
        ("test/error", "auto", False),
        ("test/accuracy", "min", False),
        ("test/error", "max", True),
    ],
)
def test_which_way_is_better(rank: str, mode: str, highest: bool) -> None:
    found = table(**{f"metrics.{name}": [0.1, 0.2] for name in ("accuracy", "r_squared", "error")})
    measure = chosen_measure(found, rank, mode)
    assert measure.highest is highest
    best = with_rank(found, measure).sort("ranked")["run"][0]
    assert best == (1 if highest else 0)


def test_a_run_without_the_metric_comes_last_whatever_is_better() -> None:
    found = table(**{"metrics.accuracy": [None, 0.2, float("nan")]})
    ranked = with_rank(found, chosen_measure(found, "test/accuracy"))["ranked"]
    assert ranked.to_list() == [float("inf"), -0.2, float("inf")]


def test_a_metric_that_no_run_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(
        ConfigurationError, match=r"rank is test/accurcy, but no run has that; choose one of value, test/a"
    ):
        chosen_measure(table(**{"metrics.accuracy": [0.5]}), "test/accurcy")
