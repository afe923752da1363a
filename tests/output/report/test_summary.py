"""The best settings of a sweep, and its picture, on tables written by hand."""

import io
import math

import numpy as np
import polars as pl
from PIL import Image

from descend.output.pictures.sweep import sweep_picture
from descend.output.report.ranking import ranked_runs
from descend.output.report.summary import all_settings, best_settings, is_numeric


def table(rows: list[tuple[str, float, int, float | None, str]]) -> pl.DataFrame:
    names = ["optimizer", "optimizer.lr", "seed", "value", "status"]
    frame = pl.DataFrame(rows, schema=names, orient="row", strict=False)
    return frame.with_row_index("run").with_columns(pl.col("value").alias("metrics.error") * 10)


RUNS = table(
    [
        ("adam", 0.1, 0, 1.0, "finished"),
        ("adam", 0.1, 1, 3.0, "finished"),
        ("adam", 0.2, 0, 0.0, "finished"),  # a lucky seed
        ("adam", 0.2, 1, 5.0, "finished"),
        ("sgd", 0.1, 0, 4.0, "finished"),
        ("sgd", 0.1, 1, 5.0, "finished"),
        ("sgd", 0.2, 0, None, "diverged"),
        ("sgd", 0.2, 1, 0.5, "finished"),
    ]
)
SWEPT = ["optimizer", "optimizer.lr", "seed"]


def test_each_choice_has_its_best_setting_by_the_median_of_its_seeds() -> None:
    best = best_settings(all_settings(RUNS, SWEPT), SWEPT)
    assert best["optimizer"].to_list() == ["adam", "sgd"]
    assert best["optimizer.lr"].to_list() == [0.1, 0.1]
    assert best["value"].to_list() == [2.0, 4.5]
    assert best["run"].to_list() == [0, 4]
    assert best["results"][0].to_list() == [1.0, 3.0]
    assert best["members"][0].to_list() == [0, 1]
    assert best["trials"].to_list() == [2, 2]
    assert best["metrics.error"].to_list() == [20.0, 45.0]


def test_a_diverged_run_counts_as_infinite() -> None:
    only = RUNS.filter((pl.col("optimizer") == "sgd") & (pl.col("optimizer.lr") == 0.2))
    best = all_settings(only, SWEPT)
    assert math.isinf(best["value"][0])
    assert best["ended"][0] == "finished, diverged"


def test_without_choices_the_ten_best_settings_of_all() -> None:
    rows = [("adam", lr, 0, lr, "finished") for lr in np.linspace(1, 2, 30).tolist()]
    best = best_settings(all_settings(table(rows), ["optimizer.lr"]), ["optimizer.lr"])
    assert best["value"].to_list() == sorted(best["value"])
    assert len(best) == 10
    assert set(best["trials"]) == {30}


def test_seeds_alone_are_one_setting() -> None:
    [runs] = all_settings(RUNS, ["seed"])["runs"]
    assert runs == len(RUNS)


def test_numbers_are_told_from_choices() -> None:
    assert is_numeric(pl.Series(["1", "1e-3", "0.5"]))
    assert not is_numeric(pl.Series(["1", "null"]))


def test_the_picture_has_a_panel_for_each_objective() -> None:
    lr = np.geomspace(1e-3, 1, 8).tolist()
    rows = [(name, x, 0, x * x, "finished") for name in ("adam", "sgd") for x in lr]
    one = table(rows)
    three = {name: one.with_columns(pl.lit(name).alias("objective")) for name in ("beale", "ackley", "wood")}
    small, large = (
        Image.open(io.BytesIO(sweep_picture(ranked_runs(tables, None), keys) or b""))
        for tables, keys in (({"": one}, SWEPT), (three, ["objective", *SWEPT]))
    )
    assert large.width > small.width
    assert large.height > small.height
    assert np.asarray(large).std() > 10


def test_no_picture_of_fewer_than_three_numbers() -> None:
    assert sweep_picture(ranked_runs({"": RUNS}, None), SWEPT) is None
