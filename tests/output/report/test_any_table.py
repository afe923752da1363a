"""Whatever a table of runs holds, it is compared, printed and made a page of, without an error."""

import io
from html.parser import HTMLParser

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from descend.output.report.compared import comparisons
from descend.output.report.curves import bands_of
from descend.output.report.html import report_page
from descend.output.report.origin import Provenance
from descend.output.report.printed import as_csv, as_latex, printable
from descend.output.report.runs import Runs

NUMBERS = st.floats(-1e300, 1e300) | st.sampled_from([None, float("nan"), float("inf"), float("-inf")])
RUN = st.fixed_dictionaries(
    {
        "objective": st.sampled_from(["bowl", "valley"]),
        "optimizer": st.sampled_from(["adam", "sgd", "x&<y>_%"]),
        "optimizer.lr": st.sampled_from([None, 1e-3, 0.1, 1.0]),
        "seed": st.integers(0, 3),
        "status": st.sampled_from(["finished", "converged", "diverged", "failed", "interrupted"]),
        "value": NUMBERS,
        "losses.f": NUMBERS,
        "losses.g": NUMBERS,
        "metrics.accuracy": NUMBERS,
        "metrics.validation_error": NUMBERS,
        "steps": st.sampled_from([None, 0, 5]),
        "seconds": NUMBERS,
        "evaluations.gradient": st.sampled_from([None, 0, 6]),
    }
)
TYPES = {"run": pl.Int64, "objective": pl.String, "optimizer": pl.String, "status": pl.String, "seed": pl.Int64}
COUNTS = {"steps": pl.Int64, "evaluations.gradient": pl.Int64}


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(st.lists(RUN, min_size=1, max_size=12), st.sampled_from([None, 0.5]), st.integers(20, 120))
def test_any_table_is_shown(rows: list[dict], target: float | None, width: int) -> None:
    columns = {name: TYPES.get(name, COUNTS.get(name, pl.Float64)) for name in ["run", *rows[0]]}
    table = pl.DataFrame([{"run": i, **row} for i, row in enumerate(rows)], schema=columns)
    curves = table.select("run", pl.lit(0).alias("step"), pl.lit("value").alias("name"), "value").lazy()
    names = ["objective", "optimizer", "optimizer.lr", "seed"]
    runs = Runs(table, tuple(name for name in names if table[name].n_unique() > 1), curves)
    found = comparisons(runs, target=target)
    assert sum(each.runs for each in found) == len(rows)
    console = Console(file=io.StringIO(), width=width)
    for each in found:
        console.print(printable(each, width))
    assert as_csv(found).count("\n") == 1 + sum(len(each.rows) for each in found)
    assert as_latex(found).count(r"\toprule") == len(found)
    HTMLParser().feed(report_page(runs, found, bands_of(found, curves), [Provenance("folder")], {}))
