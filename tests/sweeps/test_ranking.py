"""How runs of several losses are compared: by the raw sum, which no aggregator's weights enter."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from descend.output.pictures import sweep
from descend.output.pictures.sweep import sweep_picture
from descend.output.report.ranking import measures_of, ranked_runs
from descend.output.report.summary import Measure, all_settings, compared_column, with_rank
from descend.sweeps import report
from descend.sweeps import settings as settings_module
from descend.sweeps.conduct import conduct
from descend.sweeps.pages import ended_numbers
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings

# FAMO's weights are of the order of its rate, so that its total is the smallest wherever it is.
SWEEP = ["objective=fonseca_fleming", "derivatives=none", "metrics=none", "compile=false", "steps=20"]
AGGREGATORS = "aggregator=sum,mean,famo"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the sweep prints, on a wide page."""
    shown = io.StringIO()
    monkeypatch.setattr(report, "terminal", lambda: Console(file=shown, width=300))
    return shown


def swept(folder: Path, *overrides: str, keep: str = "none") -> pl.DataFrame:
    settings = Settings(keep=keep)
    assert conduct(plan([*SWEEP, *overrides], settings), settings, folder) == 0
    return pl.read_parquet(folder / "sweep.parquet")


def test_aggregators_are_ranked_by_the_raw_sum_of_losses(tmp_path: Path, narrow: io.StringIO) -> None:
    table = swept(tmp_path, AGGREGATORS, "optimizer=gradient_descent", "optimizer.lr=0.3")
    raw = table["losses.f1"] + table["losses.f2"]
    assert table["sum_of_losses"].to_list() == pytest.approx(raw.to_list(), rel=1e-15)
    by_total, by_sum = table.sort("value")["aggregator"][0], table.sort(raw)["aggregator"][0]
    assert by_total != by_sum, "the example tells the two apart"
    best = all_settings(table, ["aggregator"])
    assert best["aggregator"][0] == by_sum
    assert best["value"].to_list() == sorted(raw.to_list())
    text = narrow.getvalue()
    assert "sum of losses" in text
    assert "loss/f1" in text
    assert "loss/f2" in text
    assert "on the front" in text
    assert "hypervolume" in text
    assert "value" not in text
    rows = [line for line in text.splitlines() if any(name in line for name in ("mean", "famo"))]
    assert len(rows) == 2
    assert text.index(by_sum) < text.index(by_total)


def test_the_runs_kept_are_those_with_the_lowest_sums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: io.StringIO
) -> None:
    monkeypatch.setattr(settings_module, "KEEP_BEST", 1)
    table = swept(tmp_path, AGGREGATORS, "optimizer=gradient_descent", "optimizer.lr=0.3", keep="best")
    [folder] = [path.parent for path in tmp_path.glob("*/result.json")]
    losses = json.loads((folder / "result.json").read_text())["losses"]
    assert sum(losses.values()) == table.select(pl.sum_horizontal("losses.f1", "losses.f2").min()).item()


def test_a_run_that_diverged_is_never_kept_before_one_that_did_not() -> None:
    rows = {"run": [0, 1], "status": ["diverged", "finished"], "value": [-1.0, 2.0]}
    assert with_rank(pl.DataFrame(rows)).sort("ranked")["run"].to_list() == [1, 0]


def test_one_loss_is_compared_by_its_total() -> None:
    rows = {"run": [0, 1], "status": ["finished"] * 2, "value": [3.0, 2.0], "losses.a": [1.0, 2.0]}
    table = pl.DataFrame(rows)
    assert compared_column(table) == "value"
    assert with_rank(table)["ranked"].to_list() == [3.0, 2.0]


def test_a_loss_that_is_not_finite_leaves_no_sum() -> None:
    """JSON has no infinity: such a loss is null in the table, and the others alone would be a low sum."""
    losses = {"losses.a": [1.0, 1.0], "losses.b": [None, 5.0]}
    table = pl.DataFrame({"run": [0, 1], "status": ["interrupted", "finished"], "value": [None, 2.0], **losses})
    assert with_rank(table)["ranked"].to_list() == [float("inf"), 6.0]


def test_the_picture_shows_what_runs_are_compared_by(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = {"losses.a": [1.0, 2.0, 3.0], "losses.b": [1.0] * 3}
    rows = {"run": [0, 1, 2], "status": ["finished"] * 3, "value": [9.0] * 3, "lr": ["1", "2", "3"], **losses}
    shown: list[str] = []
    draw = sweep._draw

    def seen(data: pl.DataFrame, *others: Any) -> Any:
        shown.append(data["label"][0])
        return draw(data, *others)

    monkeypatch.setattr(sweep, "_draw", seen)
    assert sweep_picture(ranked_runs({"": pl.DataFrame(rows)}, None), ["lr"]) is not None
    assert shown == ["sum of losses"]


def test_what_is_kept_is_what_the_table_ranks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, narrow: io.StringIO
) -> None:
    """By the length of the gradient, of which the order is another than that of the values; in several chunks."""
    monkeypatch.setattr(settings_module, "KEEP_BEST", 1)
    settings = Settings(keep="best", rank="gradient_norm", memory=1500)
    rates = "optimizer.lr=0.001,0.1,0.0001,0.02,0.05,0.0003"
    overrides = ["objective=rosenbrock", "optimizer=adam", rates, "derivatives=none", "metrics=none", "steps=30"]
    assert conduct(plan([*overrides, "compile=false"], settings), settings, tmp_path) == 0
    table = pl.read_parquet(tmp_path / "sweep.parquet")
    shortest, lowest = table.sort("gradient_norm")["run"][0], table.sort("value")["run"][0]
    assert shortest != lowest, "the example tells the two apart"
    [kept] = tmp_path.glob("*/checkpoint.pt")
    assert int(kept.parent.name[:5]) == shortest
    assert "gradient_norm" in narrow.getvalue()


def accuracies(**values: list[float]) -> dict[str, pl.DataFrame]:
    """Return runs of objectives whose losses are in the order opposite to that of their accuracies."""
    made, count = {}, 0
    for task, own in values.items():
        rows = {"run": range(count, count + len(own)), "value": own, "metrics.validation_accuracy": own}
        made[task] = pl.DataFrame(rows).with_columns(
            status=pl.lit("finished"), lr=pl.col("run"), objective=pl.lit(task)
        )
        count += len(own)
    return made


def test_of_several_objectives_the_best_of_each_come_first() -> None:
    tables = accuracies(a=[0.7, 0.9, 0.8], b=[0.1, 0.2])
    tables["a"] = tables["a"].with_columns(status=pl.Series(["finished", "finished", "diverged"]))
    assert ranked_runs(tables, None)["run"].to_list() == [1, 4, 0, 3, 2]
    assert ranked_runs(tables, "value")["run"].to_list() == [0, 3, 1, 4, 2]
    assert ranked_runs(tables, "test/unknown")["label"].unique().to_list() == ["validation/accuracy"]


def test_a_part_of_the_runs_loses_none_of_the_best_of_all() -> None:
    generator = np.random.default_rng(0)
    tables = accuracies(**{task: generator.random(9).round(1).tolist() for task in "abc"})
    best = set(ranked_runs(tables, None)["run"].head(10))
    for _ in range(20):
        part = {task: table.sample(5, seed=int(generator.integers(1 << 30))) for task, table in tables.items()}
        own = {run for table in part.values() for run in table["run"]}
        assert best & own <= set(ranked_runs(part, None)["run"].head(10))


def test_the_picture_shows_the_measure_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[list[float]] = []
    panel = sweep._panel

    def seen(axes: Any, data: pl.DataFrame, styles: Any) -> None:
        panel(axes, data, styles)
        shown.append(axes.lines[0].get_ydata().tolist())

    monkeypatch.setattr(sweep, "_panel", seen)
    assert sweep_picture(ranked_runs(accuracies(a=[0.7, 0.9, 0.8]), None), ["lr"]) is not None
    assert shown == [[0.7, 0.9, 0.8]]


def test_the_hparams_page_begins_with_what_ranks() -> None:
    tables = accuracies(a=[0.7, 0.9])
    tags = ended_numbers(tables["a"], list(measures_of(tables, None).values()))
    assert tags == ["result/validation_accuracy", "result/value", "result/best_value"]
    assert ended_numbers(tables["a"], [Measure("seconds", "seconds")])[0] == "result/value"
