"""Figures for a paper: their fonts, their size, what tells lines apart, and what is drawn of which numbers."""

import itertools
import re
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest

from descend.output.pictures.figure import nth_style
from descend.output.pictures.paper import MOST_LINES, STYLE, Chart, heat_figure, lines_figure, write_figures

NAMES = ["adam lr=0.001", "sgd lr=0.1", "muon lr=0.02", "rmsprop", "soap", "lion", "adagrad", "lars", "one too many"]


def line(name: str, middle: list[float | None]) -> dict[str, Any]:
    style = nth_style(NAMES.index(name)) if name in NAMES else nth_style(0)
    return {
        "name": name,
        "style": style,
        "steps": list(range(len(middle))),
        "middle": middle,
        "low": middle,
        "high": middle,
    }


def task(**other: Any) -> dict[str, Any]:
    curves = [line(name, [1.0, 0.1, 0.01 * (i + 1)]) for i, name in enumerate(NAMES)]
    data = {"measure": "value", "highest": False, "curves": curves, "tuning": lines()}
    return {**data, "sensitivity": None, "heat": None, **other}


def lines(*series: dict[str, Any], cut: float | None = None) -> dict[str, Any]:
    return {"lines": series, "log": False, "cut": cut}


def heights(chart: Chart) -> tuple[float, float]:
    [axes] = lines_figure(chart).axes
    return axes.get_ylim()


SWEPT = {
    "name": "lr",
    "log": True,
    "cut": None,
    "lines": [{"name": "adam", "style": nth_style(0), "x": [0.01, 0.1, 1.0], "y": [1.0, 0.5, None]}],
}
HEAT = {"x": "lr", "y": "momentum", "cells": [[1.0, 0.0, 5.0], [1.0, 0.9, 6.0], [2.0, 0.0, 7.0]]}
SHARES = [
    {"name": name, "style": nth_style(place), "x": [1.0, 100.0], "y": [0.0, 1.0]}
    for place, name in enumerate(("adam", "sgd"))
]


def test_a_pdf_embeds_its_fonts_and_is_as_wide_as_a_column(tmp_path: Path) -> None:
    [path] = write_figures(tmp_path / "a", {"": task()}, None, "pdf")
    content = path.read_bytes()
    assert b"/FontFile2" in content  # TrueType
    assert b"/Type3" not in content
    [box] = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ", content)
    assert float(box) == pytest.approx(3.3 * 72)
    [again] = write_figures(tmp_path / "b", {"": task()}, None, "pdf")
    assert again.read_bytes() == content


def test_an_svg_needs_no_font(tmp_path: Path) -> None:
    [path] = write_figures(tmp_path, {"": task()}, None, "svg")
    assert "<text" not in path.read_text()


def test_each_figure_has_a_file_named_by_what_it_shows(tmp_path: Path) -> None:
    across = {"ecdf": SHARES, "profile": SHARES, "data": []}
    both = task(sensitivity=SWEPT, heat=HEAT, tuning=lines(line("adam", [2.0, 1.0])))
    written = write_figures(tmp_path, {"digits_mlp": both, "pinn/heat": task()}, across, "svg")
    found = ["curves-digits_mlp", "budget-digits_mlp", "swept-digits_mlp", "heat-digits_mlp", "curves-pinn-heat"]
    assert [path.stem for path in written] == [*found, "runtimes", "performance-profile"]
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_lines_differ_in_colour_and_neighbours_in_style_too() -> None:
    figure = lines_figure(Chart("step", "value", task()["curves"], "steps", "middle"))
    [axes] = figure.axes
    assert len(axes.lines) == MOST_LINES < len(NAMES)
    assert len({drawn.get_color() for drawn in axes.lines}) == MOST_LINES
    styles = [drawn._unscaled_dash_pattern for drawn in axes.lines]  # type: ignore[attr-defined]
    assert all(first != second for first, second in itertools.pairwise(styles))
    assert axes.get_title() == ""
    assert axes.get_yscale() == "log"


def test_the_legend_stays_inside_however_long_the_names_are() -> None:
    name = "adamw betas=[0.9,0.999] weight_decay=0.0001 objective.hidden=64 lr"
    long = [line(f"{name}=0.{i}", [1.0, 0.5]) for i in range(8)]
    middling = [line(f"adamw lr=0.27980{i} wd=0", [1.0, 0.5]) for i in range(8)]
    for curves in (long, middling, task()["curves"]):
        with matplotlib.rc_context(STYLE):
            figure = lines_figure(Chart("step", "value", curves, "steps", "middle"))
            figure.draw_without_rendering()
        box, size = figure.legends[0].get_window_extent(), figure.bbox
        assert 0 <= box.x0 < box.x1 <= size.x1
        below = figure.axes[0].get_tightbbox()
        assert below is not None
        assert 0 <= box.y0 < box.y1 <= below.y0 + 1


def test_a_line_that_ends_at_zero_or_runs_away_leaves_room_for_the_others() -> None:
    curves = [line("down", [10.0, 1e-3, 0.0]), line("away", [10.0, 1e100, None]), line("slow", [10.0, 8.0, 5.0])]
    [axes] = lines_figure(Chart("step", "value", curves, "steps", "middle")).axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[1] == 1e4


def test_a_band_that_runs_away_leaves_room_for_the_lines() -> None:
    curves = [{**line("adam", [0.5, 0.4, 0.3]), "low": [0.4, 0.4, 0.3], "high": [1e10, 0.5, 0.3]}]
    [axes] = lines_figure(Chart("step", "value", curves, "steps", "middle")).axes
    bottom, top = axes.get_ylim()
    assert 0.1 - 1e-9 <= bottom < 0.3
    assert 0.5 < top <= 0.7 + 1e-9


CUTS = [(0.6, False, (0.285, 0.6)), (0.5, True, (0.5, 0.92)), (2e9, False, None), (0.1, True, None)]
"""Where an axis is cut off, whether the highest is the best, and the ends of the axis; None where nothing is cut."""


@pytest.mark.parametrize(("cut", "highest", "ends"), CUTS)
def test_an_axis_is_cut_off_on_the_side_of_bad_results(cut: float, highest: bool, ends: tuple[float, float]) -> None:
    """Beyond the best result, 0.3 or 0.9, a twentieth is empty."""
    bad = [0.3, 0.3, 0.3] if highest else [1e9, 0.5, 0.4]
    good = [0.9, 0.7, 0.7] if highest else [0.5, 0.4, 0.3]
    curves = [{**line("adam", [0.6, 0.6, 0.5]), "low": bad if highest else good, "high": good if highest else bad}]
    whole = heights(Chart("tried", "value", curves, "steps", "middle"))
    found = heights(Chart("tried", "value", curves, "steps", "middle", cut=cut, highest=highest))
    assert found == pytest.approx(ends or whole)


def test_a_logarithmic_axis_is_cut_off_in_decades() -> None:
    curves = [{**line("adam", [1.0, 0.1, 0.01]), "high": [1e30, 1.0, 0.1]}]
    bottom, top = heights(Chart("tried", "value", curves, "steps", "middle", cut=100.0))
    assert (bottom, top) == pytest.approx((0.01 * 1e-4**0.05, 100.0))


def test_shares_run_from_nothing_to_all() -> None:
    [axes] = lines_figure(Chart("budget", "share", SHARES, logarithmic=True, share=True)).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert axes.get_ylim()[0] == 0


def test_a_cell_that_was_not_tried_is_white() -> None:
    figure = heat_figure(HEAT, "value")
    [mesh] = figure.axes[0].collections
    shown = mesh.get_array()
    assert shown is not None
    np.testing.assert_array_equal(np.ma.getdata(shown).ravel(), [5.0, 7.0, 6.0, np.nan])
