"""Which setting is best, and how sure, on tables whose truth is known."""

import math

import numpy as np
import polars as pl
import pytest
from scipy.stats import wilcoxon

from descend.output.report.comparison import compare
from descend.output.report.measure import loss_measure
from descend.output.report.summary import Measure

VALUE = Measure("value", "value")


def table(results: dict[str, list[float]], column: str = "value") -> pl.DataFrame:
    rows = [(name, seed, x) for name, values in results.items() for seed, x in enumerate(values)]
    frame = pl.DataFrame(rows, schema=["optimizer", "seed", column], orient="row").with_row_index("run")
    return frame.with_columns(pl.lit("finished").alias("status"), pl.col("run").cast(pl.Int64))


SWEPT = ["optimizer", "seed"]
GENERATOR = np.random.default_rng(0)
NOISE = GENERATOR.normal(size=10)


def test_a_clear_loser_is_worse_and_an_equal_is_a_tie() -> None:
    best = (1 + NOISE / 100).tolist()
    equal = (1 + NOISE[::-1] / 100).tolist()
    worse = (2 + NOISE / 100).tolist()
    rows = compare(table({"worse": worse, "best": best, "equal": equal}), SWEPT, VALUE).rows
    assert [row.name for row in rows][-1] == "worse"
    assert [row.verdict for row in rows] == ["best", "tie", "worse"]
    assert rows[1].improvement == 1.0
    assert rows[2].improvement is None
    p = wilcoxon(np.array(worse) - np.array(best if rows[0].name == "best" else equal)).pvalue
    assert rows[2].p == pytest.approx(2 * p)  # of two comparisons by Holm


def test_the_numbers_of_a_row() -> None:
    results = [3.0, 1.0, 2.0, 9.0, 4.0, 5.0, 7.0, 6.0]
    [row] = compare(table({"adam": results}), ["seed"], VALUE).rows
    assert (row.name, row.n, row.run, row.verdict) == ("all runs", 8, 1, "best")
    assert row.median == 4.5
    assert row.iqm == 4.5  # of 3, 4, 5, 6
    low, high = row.interval
    assert 1 < low < 4.5 < high < 9


def test_too_few_seeds_make_no_claim() -> None:
    few = {"a": [1.0, 1.1, 1.2, 1.3, 1.4], "b": [5.0, 5.1, 5.2, 5.3, 5.4]}
    assert [row.verdict for row in compare(table(few), SWEPT, VALUE).rows] == ["best", "too few seeds"]
    enough = {name: [*values, values[-1] + 0.1] for name, values in few.items()}
    assert [row.verdict for row in compare(table(enough), SWEPT, VALUE).rows] == ["best", "worse"]


def test_seeds_that_change_nothing_are_one_run() -> None:
    rows = compare(table({"a": [1.0] * 20, "b": [2.0] * 20}), SWEPT, VALUE).rows
    assert rows[1].verdict == "too few seeds"
    assert math.isnan(rows[0].interval[0])
    assert rows[0].improvement is None


def test_seeds_are_paired_by_their_number_not_their_place() -> None:
    frame = table({"a": (NOISE + 10).tolist(), "b": (NOISE + 10.001).tolist()})
    shuffled = frame.sample(fraction=1, shuffle=True, seed=1)
    assert compare(shuffled, SWEPT, VALUE).rows[1].verdict == "worse"


def test_the_highest_accuracy_is_the_best_and_keeps_its_sign() -> None:
    frame = table({"a": [0.9, 0.91, 0.92, 0.93, 0.94], "b": [0.5] * 5}, "metrics.accuracy").with_columns(
        value=pl.lit(1.0)
    )
    first, second = compare(frame, SWEPT, Measure("metrics.accuracy", "test/accuracy", highest=True)).rows
    assert (first.name, first.median, second.median) == ("a", 0.92, 0.5)
    low, high = first.interval
    assert 0.89 < low < 0.92 < high < 0.95


def test_runs_that_diverged_are_worst_and_break_nothing() -> None:
    frame = table({"a": [1.0, 2.0, math.nan, 3.0, 2.0, 2.0, 1.5, 1.7], "b": [math.nan] * 8})
    frame = frame.with_columns(
        pl.when(pl.col("value").is_nan()).then(pl.lit("diverged")).otherwise("status").alias("status")
    )
    first, second = compare(frame, SWEPT, VALUE).rows
    assert (first.name, second.verdict) == ("a", "worse")
    assert math.isinf(second.median)


def test_several_losses_have_a_front_and_a_hypervolume() -> None:
    """Points (0, 1), (1, 0) and (1, 1) in the unit box, which is a tenth larger."""
    frame = table({"a": [1.0], "b": [1.0], "c": [2.0]}).with_columns(
        pl.Series("losses.f", [0.0, 1.0, 1.0]), pl.Series("losses.g", [1.0, 0.0, 1.0])
    )
    rows = {row.name: row for row in compare(frame, SWEPT, loss_measure(frame)).rows}
    assert [rows[name].front for name in "abc"] == [True, True, False]
    assert rows["a"].volume == pytest.approx(1.1 * 0.1 / 1.21)
    assert rows["c"].volume == pytest.approx(0.01 / 1.21)


def test_a_choice_of_several_settings_has_the_hypervolume_of_them_all() -> None:
    frame = table({"a": [1.0, 1.0]}).with_columns(
        pl.Series("optimizer.lr", [0.1, 0.2]), pl.Series("losses.f", [0.0, 1.0]), pl.Series("losses.g", [1.0, 0.0])
    )
    [row] = compare(frame, ["optimizer", "optimizer.lr"], loss_measure(frame)).rows
    assert row.trials == 2
    assert row.volume == pytest.approx((2 * 1.1 * 0.1 - 0.01) / 1.21)
