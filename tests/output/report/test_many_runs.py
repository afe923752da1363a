"""Settings as they are compared: a number that is not given everywhere stays a number."""

import polars as pl

from descend.output.report.compared import comparisons
from descend.output.report.runs import Runs
from descend.output.report.sections import sensitivity_section
from descend.output.report.summary import all_settings

KEYS = ["optimizer", "lr", "seed"]


def swept_with(rates: list[str]) -> Runs:
    rows = [
        (name, rate, seed, 1.0 + seed + i)
        for name in ("adam", "sgd")
        for i, rate in enumerate(rates)
        for seed in (0, 1)
    ]
    table = pl.DataFrame(rows, schema=[*KEYS, "value"], orient="row").with_row_index("run")
    table = table.with_columns(pl.col("run").cast(pl.Int64), status=pl.lit("finished"), steps=pl.lit(1))
    curves = pl.LazyFrame(schema={"run": pl.Int64, "step": pl.Int64, "name": pl.String, "value": pl.Float64})
    return Runs.of(table, KEYS, curves)


def test_a_rate_that_is_null_somewhere_is_a_number_elsewhere() -> None:
    runs = swept_with(["0.1", "null", "1e-2", "1"])
    assert runs.table["lr"].to_list()[::2] == [0.1, None, 0.01, 1.0] * 2
    [compared] = comparisons(runs)
    assert [(row.name, row.trials) for row in compared.rows] == [("adam lr=0.1", 4), ("sgd lr=0.1", 4)]
    settings = all_settings(runs.table, runs.swept, compared.measure)
    found = sensitivity_section(settings, runs.swept, runs.methods, 1)
    assert found is not None
    assert [(line["name"], line["x"], line["y"]) for line in found["lines"]] == [
        (name, [0.01, 0.1, 1.0], [3.5, 1.5, 4.5]) for name in ("adam", "sgd")
    ]


def test_a_null_among_choices_is_one_of_them() -> None:
    runs = swept_with(["null", "cosine"])
    assert runs.methods.choices == ("optimizer", "lr")
    assert list(runs.methods.places) == ["adam null", "adam cosine", "sgd null", "sgd cosine"]
