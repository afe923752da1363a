"""What a served TensorBoard's HParams page answers about a sweep, over HTTP."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl
import pytest
from omegaconf import DictConfig

from descend.menu.compose import compose
from descend.output.report.compared import comparisons
from descend.output.report.curves import bands_of
from descend.output.report.ranking import ranked_runs
from descend.output.report.runs import Runs
from descend.output.report.sources import column_of
from descend.sweeps.conduct import carry_out
from descend.sweeps.job import Job
from descend.sweeps.pages import MOST_RUNS, write_overview, write_pages
from descend.sweeps.plan import plan
from descend.sweeps.settings import Settings
from descend.sweeps.space import Grid
from descend.sweeps.store import Store, folder_name

OVERRIDES = ["objective=rosenbrock", "metrics=none", "derivatives=none", "steps=5", "threads=1"]
SWEPT = ["optimizer=adam,sgd", "optimizer.lr=tag(log,interval(1e-4,10))", "seed=0,1,2"]
RUNS, KEPT = 30, 5
PAGE = "experiment/defaultExperimentId/data/plugin/hparams"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of 30 runs with folders for five, its pages written twice, as after an interruption."""
    folder = tmp_path_factory.mktemp("sweep")
    settings = Settings(sampling=Grid(points=5))
    planned = plan([*OVERRIDES, *SWEPT], settings)

    def own(job: Job) -> DictConfig:
        return compose(job.overrides, with_hydra=True)

    with Store(folder, planned.jobs) as store:
        assert not carry_out(planned, settings, store)
        runs = Runs.of(store.table(), [column_of(key) for key in planned.jobs[0].swept], store.curves())
        order = ranked_runs(runs.by_objective(), None)["run"].to_list()
        write_pages(planned.jobs, 3 * KEPT, store, order, own)
        write_pages(planned.jobs, KEPT, store, order, own)
        found = comparisons(runs)
        write_overview(planned.jobs, folder, store.table(), found, bands_of(found, runs.curves))
    return folder


@pytest.fixture(scope="module")
def address(swept: Path, serve: Callable[..., AbstractContextManager[str]]) -> Iterator[str]:
    names = {str(path.parent.relative_to(swept)) for path in swept.rglob("events.out.tfevents.*")}
    with serve(swept, names=names) as address:
        yield address


def test_few_runs_have_folders_and_the_page_is_described_once(swept: Path) -> None:
    assert len(list(swept.glob("*/result.json"))) == KEPT
    assert len(list(swept.glob("summary/*/events.out.tfevents.*"))) == RUNS - KEPT
    assert len(list(swept.glob("events.out.tfevents.*"))) == 1


def test_swept_numbers_are_numbers(address: str, fetch: Callable[..., Any]) -> None:
    described = fetch(f"{address}{PAGE}/experiment", {"includeMetrics": True})
    kinds = {info["name"]: info["type"] for info in described["hparamInfos"]}
    assert kinds == {
        "optimizer": "DATA_TYPE_STRING",
        "optimizer.lr": "DATA_TYPE_FLOAT64",
        "seed": "DATA_TYPE_FLOAT64",
    }
    tags = {info["name"]["tag"] for info in described["metricInfos"]}
    assert {"result/value", "result/best_value"} <= tags


def test_every_run_has_a_row_with_its_settings_and_its_end(
    swept: Path, address: str, fetch: Callable[..., Any]
) -> None:
    wanted = {
        "startIndex": 0,
        "sliceSize": 100,
        "allowedStatuses": ["STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_UNKNOWN", "STATUS_RUNNING"],
        "colParams": [
            {"metric": {"group": "", "tag": "result/value"}, "includeInResult": True},
            *({"hparam": name, "includeInResult": True} for name in ("optimizer", "optimizer.lr", "seed")),
        ],
    }
    groups = fetch(f"{address}{PAGE}/session_groups", wanted)["sessionGroups"]
    table = pl.read_parquet(swept / "sweep.parquet")
    names = {folder_name(job): job.index for job in plan([*OVERRIDES, *SWEPT], Settings(sampling=Grid(5))).jobs}
    assert {names[row["name"]] for row in groups} == set(range(RUNS))
    assert "diverged" in table["status"].to_list()
    for row in groups:
        own = table.row(names[row["name"]], named=True)
        assert row["hparams"] == {key: own[key] for key in ("optimizer", "optimizer.lr", "seed")}
        (session,) = row["sessions"]
        assert session["status"] == ("STATUS_SUCCESS" if own["status"] == "finished" else "STATUS_FAILURE")
        (metric,) = (m for m in row["metricValues"] if m["name"]["tag"] == "result/value")
        assert own["value"] is None or math.isclose(metric["value"], own["value"], rel_tol=1e-6)


def test_the_settings_are_compared_in_a_text(address: str, fetch: Callable[..., Any]) -> None:
    [event] = fetch(f"{address}data/plugin/text/text?run=.&tag=comparison")
    for part in ("<table>", "<th>setting</th>", "<td>sgd lr=", "best of up to 5 settings"):
        assert part in event["text"], part


def test_each_setting_is_a_line_with_a_band(swept: Path, address: str, fetch: Callable[..., Any]) -> None:
    layout = fetch(f"{address}data/plugin/custom_scalars/layout")
    [chart] = [chart for category in layout["category"] for chart in category["chart"]]
    assert chart["title"] == "value"
    series = {each["value"].split("/")[1]: each for each in chart["margin"]["series"]}
    assert len(series) == 2
    table = pl.read_parquet(swept / "sweep.parquet")
    own = table.filter(optimizer="sgd").drop_nulls("value").group_by("optimizer.lr").agg(pl.col("value").median())
    [best] = own["value"].bottom_k(1).to_list()
    [name] = [name for name in series if name.startswith("sgd")]
    points = fetch(f"{address}data/plugin/scalars/scalars?run=.&tag={quote(series[name]['value'])}")
    assert [step for _, step, _ in points] == list(range(6))
    assert math.isclose(points[-1][2], best, rel_tol=1e-6)


def test_a_large_sweep_stays_below_the_runs_that_tensorboard_selects() -> None:
    """500: `MAX_NUM_RUNS_TO_ENABLE_BY_DEFAULT` of its page; the sweep's own folder is one."""
    assert MOST_RUNS + 1 <= 500
