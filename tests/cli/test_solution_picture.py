"""A differential equation from the command line: its error while it trains, in its result, and its picture."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SMALL = ["experiment=pinn/burgers", "objective.points=20", "objective.network.hidden=[6]", "steps=21"]


def test_a_run_leaves_its_error_and_its_picture(descend: Callable[..., Any]) -> None:
    done = descend(*SMALL)
    assert done.code == 0, done.err
    error = json.loads((done.folder / "result.json").read_text())["metrics"]["relative_l2"]
    assert 0 < error < 10
    records = pl.read_parquet(done.folder / "records.parquet").filter(name="test/relative_l2").sort("step")
    assert records["step"].to_list() == [0, 10, 20, 21]
    assert records["value"][-1] == error
    picture = Path(done.folder / "solution.png").read_bytes()
    events = EventAccumulator(str(done.folder)).Reload()
    [image] = events.Images("solution")
    assert image.encoded_image_string == picture
    assert image.step == 21


def test_the_line_search_is_refused_from_the_command_line(descend: Callable[..., Any]) -> None:
    done = descend(*SMALL, "aggregator=pcgrad")
    assert done.code == 2
    assert "AdamThenLBFGS searches along a line, but the direction of PCGrad" in done.err
    assert "Traceback" not in done.err
