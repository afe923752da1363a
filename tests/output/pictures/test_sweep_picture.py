"""What the picture of a sweep shows: lines for a second number, a heat map for two, curves for choices alone."""

import io
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from descend.output.pictures import sweep
from descend.output.pictures.heat import medians
from descend.output.pictures.sweep import sweep_figure, sweep_picture
from descend.output.report.compared import comparisons
from descend.output.report.curves import bands_of
from descend.output.report.ranking import ranked_runs
from descend.output.report.runs import Runs


def grid(rates: int, momenta: int) -> pl.DataFrame:
    rows = [(x, y, (x - 2) ** 2 + y) for x in range(1, rates + 1) for y in range(momenta)]
    frame = pl.DataFrame(rows, schema=["lr", "momentum", "value"], orient="row").with_row_index("run")
    numbers = pl.col("run").cast(pl.Int64), pl.col("value").cast(pl.Float64)
    return ranked_runs({"": frame.with_columns(*numbers, status=pl.lit("finished"))}, None)


def test_a_second_number_of_few_values_has_a_line_for_each() -> None:
    figure = sweep_figure(grid(8, 3), ["lr", "momentum"])
    assert figure is not None
    [legend] = figure.legends
    assert [text.get_text() for text in legend.texts] == ["momentum=0", "momentum=1", "momentum=2"]
    assert len({str(line.get_color()) for line in figure.axes[0].lines}) == 3


def test_what_runs_away_leaves_the_room_to_the_rest() -> None:
    """Above there is one decade of room, below next to none."""
    values = [1.0, 0.5, 0.2, *[0.1] * 37, 1e30]
    table = pl.DataFrame({"run": range(41), "lr": range(1, 42), "value": values, "status": ["finished"] * 41})
    figure = sweep_figure(ranked_runs({"": table}, None), ["lr"])
    assert figure is not None
    bottom, top = figure.axes[0].get_ylim()
    assert 0.07 < bottom < 0.1
    assert 1 < top < 10


def test_two_numbers_of_many_values_are_a_heat_map(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    draw = sweep.draw_heat

    def noted(data: Any, *rest: Any) -> Any:
        seen.append(rest[:2])
        return draw(data, *rest)

    monkeypatch.setattr(sweep, "draw_heat", noted)
    picture = sweep_picture(grid(8, 7), ["lr", "momentum"])
    assert picture is not None
    image = Image.open(io.BytesIO(picture))
    assert seen == [("lr", "momentum")]
    assert np.asarray(image).std() > 10


def test_the_cells_of_a_heat_map_are_medians() -> None:
    data = grid(3, 2).filter(pl.col("run") != 5).with_columns(pl.col("value").alias("shown"))
    x, y, heights = medians(pl.concat([data, data.with_columns(pl.col("shown") + 2)]), "lr", "momentum")
    assert (x.tolist(), y.tolist()) == ([1, 2, 3], [0, 1])
    np.testing.assert_array_equal(heights, [[2, 1, 2], [3, 2, np.nan]])


def choices() -> Runs:
    """Two optimizers of three seeds, whose values at step t are (1 + seed) / (1 + t), and ten times that."""
    rows = [
        (name, seed, factor * (1 + seed) / 5) for name, factor in (("adam", 1.0), ("sgd", 10.0)) for seed in range(3)
    ]
    table = pl.DataFrame(rows, schema=["optimizer", "seed", "value"], orient="row").with_row_index("run")
    table = table.with_columns(pl.col("run").cast(pl.Int64), status=pl.lit("finished"), steps=pl.lit(4))
    curves = [
        (run, step, "value", value * 5 / (1 + step))
        for run, value in table.select("run", "value").iter_rows()
        for step in range(5)
    ]
    records = pl.DataFrame(curves, schema=["run", "step", "name", "value"], orient="row")
    return Runs(table, ("optimizer", "seed"), records.lazy())


def test_bands_are_medians_and_quartiles_over_the_seeds() -> None:
    runs = choices()
    bands = bands_of(comparisons(runs), runs.curves)
    assert bands["line"].unique(maintain_order=True).to_list() == ["adam", "sgd"]
    adam = bands.filter(line="adam")
    assert adam["middle"].to_list() == pytest.approx([2 / (1 + t) for t in range(5)])
    assert adam["runs"].to_list() == [3] * 5
    first = bands.filter(line="sgd", step=0).row(0, named=True)
    assert first["low"] <= first["middle"] == 20 <= first["high"]


def test_a_curve_has_at_most_so_many_points_and_its_ends() -> None:
    runs = choices()
    bands = bands_of(comparisons(runs), runs.curves, points=3)
    assert bands.filter(line="adam")["step"].to_list() == [0, 2, 4]


def test_choices_alone_have_a_picture() -> None:
    runs = choices()
    bands = bands_of(comparisons(runs), runs.curves)
    ranked = ranked_runs(runs.by_objective(), None)
    picture = sweep_picture(ranked, runs.swept, bands)
    assert picture is not None
    image = Image.open(io.BytesIO(picture))
    assert np.asarray(image).std() > 10
    assert sweep_picture(ranked, runs.swept, bands.clear()) is None
