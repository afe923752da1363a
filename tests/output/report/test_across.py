"""Methods over several objectives: one that is ten times as fast, on curves whose runtimes are known."""

import io

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from descend.output.report.across import TARGETS, across_section
from descend.output.report.compared import comparisons
from descend.output.report.printed import printable_across
from descend.output.report.runs import Runs


def runs(objectives: tuple[str, ...] = ("bowl", "valley")) -> Runs:
    """Each run falls from 1 towards 0 by 10^(−t / pace): the fast method in paces of 10 steps, the slow of 100."""
    rows: list[tuple[int, str, str, int, float]] = []
    curves = []
    for objective in objectives:
        for method, pace in (("fast", 10), ("slow", 100)):
            for seed in (0, 1):
                run, steps = len(rows), 401
                rows.append((run, objective, method, seed, 10.0 ** (-400 / pace)))
                values = 10.0 ** (-np.arange(steps) / pace)
                curves.append(
                    pl.DataFrame(
                        {"run": [run] * steps, "step": range(steps), "name": ["value"] * steps, "value": values}
                    )
                )
    table = pl.DataFrame(rows, schema=["run", "objective", "optimizer", "seed", "value"], orient="row")
    table = table.with_columns(status=pl.lit("finished"), steps=pl.lit(400))
    return Runs(table, ("objective", "optimizer", "seed"), pl.concat(curves).lazy())


def test_the_fast_method_leads_by_its_factor() -> None:
    compared = runs()
    found = across_section(comparisons(compared), compared)
    assert found is not None
    assert found["problems"] == 2 * len(TARGETS)
    fast, slow = found["profile"]
    assert fast["name"] == "fast"
    assert found["methods"][0]["score"] == 1.0
    assert found["methods"][1]["reached"] == 1.0
    assert fast["y"][0] == 1.0
    at = {round(x): y for x, y in zip(slow["x"], slow["y"], strict=True)}
    assert at[3] == 0
    assert slow["y"][-1] == 1.0  # within a factor of 100 of the fast one
    ecdf = {each["name"]: dict(zip(each["x"], each["y"], strict=True)) for each in found["ecdf"]}
    budget = min(x for x in ecdf["fast"] if x >= 41)  # four paces of ten steps, and the start
    assert ecdf["fast"][budget] == 1.0
    lowest = 10.0 ** (-(budget - 1) / 100)  # of the slow one by then
    share = np.mean([target >= lowest for target in TARGETS])
    assert ecdf["slow"][budget] == pytest.approx(share, abs=0.051)


def test_one_objective_has_none() -> None:
    compared = runs(("bowl",))
    assert across_section(comparisons(compared), compared) is None


def test_methods_that_are_not_everywhere_are_left_out() -> None:
    compared = runs()
    without = compared.table.filter(~((pl.col("objective") == "bowl") & (pl.col("optimizer") == "slow")))
    fewer = Runs(without, compared.swept, compared.curves)
    assert across_section(comparisons(fewer), fewer) is None


def with_evaluations(compared: Runs) -> Runs:
    """Return the runs with what they evaluated: the fast method makes a Hessian of 2 and of 9 numbers at each step."""
    fast, valley = pl.col("optimizer") == "fast", pl.col("objective") == "valley"
    counted = {name: pl.lit(401) for name in ("function", "gradient")} | {"hvp": pl.lit(0)}
    hessian = pl.when(fast).then(400).otherwise(0)
    columns = {f"evaluations.{name}": count for name, count in {**counted, "hessian": hessian}.items()}
    size = pl.when(valley).then(9).otherwise(2)
    table = compared.table.with_columns(**columns, **{"provenance.parameters": size})
    return Runs(table, compared.swept, compared.curves)


def test_the_data_profile_is_that_of_more_and_wild() -> None:
    """Eq. 2.7 by hand: d(α) is the share of problems p with t_p / (n_p + 1) ≤ α, t in function values."""
    compared = with_evaluations(runs())
    found = across_section(comparisons(compared), compared)
    assert found is not None
    lowest = 10.0 ** (-400 / 10)
    for line, pace, hessians in zip(found["data"], (10, 100), (400, 0), strict=True):
        spent = []
        for n in (2, 9):
            values = (n + 1) * (401 + n * hessians)  # all that a run evaluated, by differences
            curve = 10.0 ** (-np.arange(401) / pace)
            for share in TARGETS:
                points = 1 + next(t for t in range(401) if curve[t] <= lowest * (1 - share) + share)
                spent.append(points * values / 401 / (n + 1))
        for budget, height in zip(line["x"][:-1], line["y"][:-1], strict=True):
            low, high = (np.mean([x <= budget + rounding for x in spent]) for rounding in (-5e-4, 5e-4))
            assert low - 1e-9 <= height <= high + 1e-9
        assert line["y"][-1] == 1.0
    half = [each["half"] for each in found["methods"]]
    assert half[1] == pytest.approx(sorted(spent)[19])  # of 40
    text = Console(file=io.StringIO(), width=80)
    text.print(printable_across(found))
    assert "gradients to half of them" in " ".join(text.file.getvalue().split())  # type: ignore[attr-defined]


def test_where_work_is_not_known_there_is_no_data_profile() -> None:
    compared = with_evaluations(runs())
    unknown = pl.when(pl.col("run") == 0).then(None).otherwise(pl.col("provenance.parameters"))
    table = compared.table.with_columns(unknown.alias("provenance.parameters"))
    for each in (runs(), Runs(table, compared.swept, compared.curves)):
        found = across_section(comparisons(each), each)
        assert found is not None
        assert found["data"] == []
