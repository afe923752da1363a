"""The data of the report's figures, on settings written by hand."""

import math

import numpy as np
import polars as pl
import pytest

from descend.output.report.methods import Methods
from descend.output.report.sections import (
    MOST_LINES,
    coordinates_section,
    cost,
    cut_off,
    heat_section,
    importance,
    losses_section,
    rounded,
    sensitivity_section,
    tuning_section,
)
from descend.output.report.summary import all_settings

SWEPT = ["optimizer", "lr", "momentum"]


def runs(rows: list[tuple[str, float, float, float]]) -> pl.DataFrame:
    frame = pl.DataFrame(rows, schema=[*SWEPT, "value"], orient="row").with_row_index("run")
    return frame.with_columns(pl.col("run").cast(pl.Int64), status=pl.lit("finished"))


GRID = runs(
    [(name, lr, m, i + lr + 10 * m) for i, name in enumerate("ab") for lr in (1.0, 2.0, 4.0) for m in (0.0, 0.5)]
)
SETTINGS = all_settings(GRID, SWEPT)
METHODS = Methods.of(GRID, SWEPT)
REPEATED = pl.DataFrame(
    [(lr, seed, lr + 0.1 * seed) for lr in (1.0, 2.0, 4.0) for seed in range(8)],
    schema=["lr", "seed", "value"],
    orient="row",
).with_row_index("run")
REPEATED = REPEATED.with_columns(pl.col("run").cast(pl.Int64), status=pl.lit("finished"))
A, B = ({"name": name, "style": (place, 0)} for place, name in enumerate("ab"))


def test_heat_is_the_best_over_what_is_not_shown() -> None:
    found = heat_section(SETTINGS, SWEPT, 1)
    assert found is not None
    assert (found["x"], found["y"]) == ("lr", "momentum")
    assert found["cells"][:3] == [[1.0, 0.0, 1.0], [1.0, 0.5, 6.0], [2.0, 0.0, 2.0]]
    assert heat_section(SETTINGS, ["optimizer", "lr"], 1) is None


def test_losses_are_points_by_choice_and_a_front() -> None:
    losses = GRID.with_columns(
        pl.col("lr").alias("losses.f"), (5 - pl.col("lr") + pl.col("momentum")).alias("losses.g")
    )
    found = losses_section(all_settings(losses, SWEPT), METHODS)
    assert found is not None
    assert found["names"] == ["f", "g"]
    assert [(each["name"], len(each["x"])) for each in found["series"]] == [("a", 6), ("b", 6)]
    assert found["front"] == [[1.0, 2.0, 4.0], [4.0, 3.0, 1.0]]
    assert losses_section(SETTINGS, METHODS) is None


def test_sensitivity_is_the_best_at_each_value_by_choice() -> None:
    found = sensitivity_section(SETTINGS, SWEPT, METHODS, 1)
    assert found is not None
    assert (found["name"], found["log"], found["cut"]) == ("lr", False, None)
    assert found["lines"] == [
        {**A, "x": [1.0, 2.0, 4.0], "y": [1.0, 2.0, 4.0]},
        {**B, "x": [1.0, 2.0, 4.0], "y": [2.0, 3.0, 5.0]},
    ]
    assert sensitivity_section(SETTINGS, ["optimizer", "momentum"], METHODS, 1) is None


def test_tuning_has_a_curve_for_each_choice_that_ends_at_its_best() -> None:
    found = tuning_section(SETTINGS, METHODS, 1)
    a, b = found["lines"]
    assert found["cut"] is None
    assert (a["name"], a["runs"], a["steps"]) == ("a", 6, [1, 2, 3, 4, 5, 6])
    assert (a["middle"][-1], b["middle"][-1]) == (1.0, 2.0)
    assert a["low"][0] <= a["middle"][0] <= a["high"][0]


def test_a_long_chart_of_tuning_is_logarithmic_and_does_not_count_its_tail() -> None:
    """Of 300 settings a tenth is good: all that many trials find is the best, and the first trials are not cut off."""
    many = all_settings(runs([("a", float(i), 0.0, 1.0 if i < 30 else 100.0) for i in range(300)]), ["lr"])
    found = tuning_section(many, Methods((), {}), 1)
    assert found["log"]
    assert found["cut"] is None
    assert not tuning_section(SETTINGS, METHODS, 1)["log"]


def test_one_number_that_runs_away_is_cut_off() -> None:
    """The worst tenth of the numbers has as much room as the others, in decades where they span decades."""
    near = {"middle": [5.0, 4.0, 3.0], "low": [4.0, 3.0, 2.0], "high": [6.0, 5.0, 5.0]}
    assert cut_off([near], 1) is None
    assert cut_off([near, {"middle": [1e6]}], 1) == pytest.approx(6.0 * 6 / 2)
    assert cut_off([near, {"middle": [-1e6]}], -1) == pytest.approx(2.0 - (6 - 2))
    assert cut_off([{"y": [None, None]}], 1) is None
    assert cut_off([{"y": [2.0, 2.0, 2.0]}], 1) is None


def test_runs_enough_give_the_median_a_band() -> None:
    """The interval is of the median, and lies between the runs' own results."""
    settings = all_settings(REPEATED, ["lr", "seed"])
    found = sensitivity_section(settings, ["lr", "seed"], Methods((), {}), 1)
    assert found is not None
    [line] = found["lines"]
    for y, low, high, lr in zip(line["y"], line["low"], line["high"], (1.0, 2.0, 4.0), strict=True):
        own = REPEATED.filter(pl.col("lr") == lr)["value"].to_numpy()
        assert y == pytest.approx(float(np.median(own)))
        assert own.min() <= low < y < high <= own.max()
    for other in (REPEATED.filter(pl.col("seed") < 5), REPEATED.with_columns(value=pl.col("lr"))):
        found = sensitivity_section(all_settings(other, ["lr", "seed"]), ["lr", "seed"], Methods((), {}), 1)
        assert found is not None
        assert "low" not in found["lines"][0]  # few seeds, and seeds that change nothing


def test_a_band_has_no_end_where_runs_diverged() -> None:
    lost = REPEATED.with_columns(pl.when(pl.col("seed") > 4, lr=4.0).then(math.inf).otherwise("value").alias("value"))
    found = sensitivity_section(all_settings(lost, ["lr", "seed"]), ["lr", "seed"], Methods((), {}), 1)
    assert found is not None
    [line] = found["lines"]
    assert line["high"][-1] is None
    assert None not in (*line["low"], *line["high"][:-1])


def test_a_highest_best_keeps_its_sign() -> None:
    [found] = tuning_section(SETTINGS.with_columns(-pl.col("value")), Methods((), {}), -1)["lines"]
    assert found["middle"][-1] == SETTINGS["value"].max()


def test_importance_of_effects_that_add_up() -> None:
    """Of ranks that are the sum of independent effects the shares are theirs; a key that does nothing has none."""
    rows = [
        (name, lr, m, 4.0 * (name == "b") + 2 * (lr == 2) + 1) for name in "ab" for lr in (1.0, 2.0) for m in (0.0, 0.5)
    ]
    settings = all_settings(runs(rows), SWEPT)
    found = {each["name"]: each["share"] for each in importance(settings, SWEPT, {key: key for key in SWEPT})}
    assert found["momentum"] == 0
    assert found["optimizer"] == pytest.approx(0.8, abs=1e-3)
    assert found["lr"] == pytest.approx(0.2, abs=1e-3)


def test_coordinates_have_numbers_choices_and_what_diverged() -> None:
    lost = GRID.with_columns(pl.when(pl.col("run") == 0).then(math.nan).otherwise(pl.col("value")).alias("value"))
    found = coordinates_section(all_settings(lost, SWEPT), SWEPT, 1)
    names = {each["name"]: each for each in found["axes"]}
    assert names["optimizer"]["names"] == ["a", "b"]
    assert names["lr"]["names"] is None
    assert set(names["lr"]["values"]) == {1.0, 2.0, 4.0}
    assert found["results"][-1] is None
    assert len(found["results"]) == found["all"] == 12


def test_of_many_settings_the_best_are_all_there() -> None:
    many = runs([("a", float(i), 0.0, float(i)) for i in range(3 * MOST_LINES)])
    found = coordinates_section(all_settings(many, ["lr"]), ["lr"], 1)
    assert found["all"] == 3 * MOST_LINES
    assert len(found["results"]) <= MOST_LINES
    assert found["results"][: MOST_LINES // 2] == [float(i) for i in range(MOST_LINES // 2)]
    assert found["results"][-1] == 3 * MOST_LINES - 1


def test_what_a_step_costs() -> None:
    found = GRID.with_columns(steps=pl.lit(10), seconds=pl.lit(2.0))
    assert cost(found, "seconds") == pytest.approx(0.2)
    assert cost(found, "evaluations.gradient") is None
    assert cost(found.with_columns(steps=pl.lit(0)), "seconds") is None


def test_numbers_that_are_not_finite_are_none() -> None:
    assert rounded(pl.Series([1.23456789, math.inf, math.nan, 1e-20]).to_numpy()) == [1.2346, None, None, 1e-20]
