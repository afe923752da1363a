"""Methods over several objectives: one that is ten times as fast, on curves whose runtimes are known."""

import numpy as np
import polars as pl
import pytest

from descend.output.report.across import TARGETS, across_section
from descend.output.report.compared import comparisons
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
    assert fast["name"] == "fast (score 1.00)"
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
