"""What a served TensorBoard answers about real runs, over HTTP."""

import json
import math
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import polars as pl
import pytest
from omegaconf import OmegaConf

PLUGIN = "data/plugin"


@pytest.fixture
def get(served: str) -> Callable[..., bytes]:
    """Ask the served TensorBoard for a path with a query."""

    def ask(path: str, **query: object) -> bytes:
        with urllib.request.urlopen(f"{served}{PLUGIN}/{path}?{urlencode(query)}", timeout=60) as reply:
            return reply.read()

    return ask


def test_tags_of_both_runs(get: Callable[..., bytes]) -> None:
    tags = {run: set(found) for run, found in json.loads(get("scalars/tags")).items()}
    shared = {"value", "learning_rate", "gradient/norm", "gradient/cosine", "update/ratio", "decrease/actual"}
    assert shared | {"parameter/x[0]", "hessian/eigenvalue/1", "hessian/condition"} <= tags["rosenbrock"]
    assert shared | {"test/accuracy", "gradient/norm/linear1.weight", "result/accuracy"} <= tags["digits"]


def test_curves_are_those_of_the_parquet_file(get: Callable[..., bytes], runs: Path) -> None:
    kept = pl.read_parquet(runs / "rosenbrock" / "records.parquet").filter(pl.col("name") == "hessian/trace")
    points = json.loads(get("scalars/scalars", run="rosenbrock", tag="hessian/trace"))
    assert [step for _, step, _ in points] == kept["step"].to_list()
    for (_, _, shown), value in zip(points, kept["value"], strict=True):
        assert math.isclose(shown, value, rel_tol=1e-6)


def test_histograms_hold_every_parameter(get: Callable[..., bytes], runs: Path) -> None:
    width = OmegaConf.load(runs / "digits" / ".hydra" / "config.yaml").objective.network.hidden[0]
    events = json.loads(get("histograms/histograms", run="digits", tag="parameter/histogram/linear1.weight"))
    assert [step for _, step, _ in events] == [0, 200, 300]
    for _, _, bins in events:
        assert sum(count for _, _, count in bins) == 64 * width


def test_the_picture_is_the_file_in_the_run_folder(get: Callable[..., bytes], runs: Path) -> None:
    (entry,) = json.loads(get("images/images", run="rosenbrock", tag="path", sample=0))
    assert entry["step"] == 300
    picture = get("images/individualImage", blob_key=entry["query"].removeprefix("blob_key="))
    assert picture == (runs / "rosenbrock" / "path.png").read_bytes()


def test_the_hparams_page_has_a_row_for_each_run(served: str, fetch: Callable[..., Any], runs: Path) -> None:
    experiment = fetch(f"{served}experiment/defaultExperimentId/{PLUGIN}/hparams/experiment", {"includeMetrics": True})
    names = {info["name"] for info in experiment["hparamInfos"]}
    assert {"objective", "optimizer", "optimizer.lr", "steps", "seed"} <= names
    wanted = {
        "startIndex": 0,
        "sliceSize": 10,
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [
            {"metric": {"group": "", "tag": "result/value"}, "includeInResult": True},
            {"hparam": "optimizer.lr", "includeInResult": True},
            {"hparam": "objective", "includeInResult": True},
        ],
    }
    found = fetch(f"{served}experiment/defaultExperimentId/{PLUGIN}/hparams/session_groups", wanted)
    rows = {row["name"]: row for row in found["sessionGroups"]}
    assert set(rows) == {"rosenbrock", "digits"}
    assert rows["rosenbrock"]["hparams"]["optimizer.lr"] == 0.05
    kept = json.loads((runs / "rosenbrock" / "result.json").read_text())
    final = {metric["name"]["tag"]: metric["value"] for metric in rows["rosenbrock"]["metricValues"]}
    assert math.isclose(final["result/value"], kept["value"], rel_tol=1e-6)
    assert rows["digits"]["hparams"]["objective"] == "Classification"
