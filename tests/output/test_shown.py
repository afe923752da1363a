"""What a notebook shows of a result, of a sweep's table, and while a run goes."""

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest

import descend
from descend.engine.result import Result
from descend.errors import ConfigurationError
from descend.output.notebook import in_notebook
from descend.output.pictures.curves import MOST_POINTS, curves_figure, panels_of
from descend.output.shown import shown_result
from descend.output.sinks import progress
from descend.output.sinks.progress import ProgressBar
from descend.records import Column, Records
from descend.sweeps.progress import SweepBar

if TYPE_CHECKING:
    from matplotlib.lines import Line2D

QUICK = ["objective=rosenbrock", "metrics=none", "derivatives=none", "steps=20"]


def drawn_by(line: "Line2D") -> tuple[np.ndarray, np.ndarray]:
    """The points of a line."""
    return np.asarray(line.get_xdata()), np.asarray(line.get_ydata())


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A kernel's IPython: what stands below the cell, as it changes."""
    drawn: list[str] = []

    def display(html: str, display_id: bool) -> SimpleNamespace:
        drawn.append(html)
        return SimpleNamespace(update=drawn.append)

    kernel = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=None))
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(HTML=str, display=display))
    return drawn


def test_a_result_shows_its_numbers_and_its_curves(result: Result) -> None:
    html = shown_result(result)._repr_html_()
    for text in ("<b>finished</b>: all 3 steps were made", "<td>0.25</td>", "<td>loss penalty</td>", "image/png"):
        assert text in html, text


def test_its_text_is_escaped(result: Result) -> None:
    result.reason = "<script>"
    assert "<script>" not in shown_result(result)._repr_html_()


def test_a_run_returns_one_with_the_same_numbers() -> None:
    result = descend.run(QUICK)
    axes = result.plot().axes[0]
    recorded = result.records.filter(name="value")
    for found, expected in zip(drawn_by(axes.lines[0]), (recorded["step"], recorded["value"]), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert axes.get_yscale() == "linear"  # it falls from 24.2 to 18.7


def test_a_result_without_records_is_refused(result: Result) -> None:
    result.blocks.clear()
    with pytest.raises(ConfigurationError, match="no records"):
        shown_result(result).plot()
    assert "<img" not in shown_result(result)._repr_html_()


def test_a_panel_for_training_each_test_metric_and_the_gradient() -> None:
    names = ["value", "loss/a", "loss/b", "gradient/norm", "test/accuracy", "validation/accuracy", "curvature/trace"]
    assert panels_of(names) == {
        "training loss": ["value", "loss/a", "loss/b"],
        "accuracy": ["test/accuracy", "validation/accuracy"],
        "norm of the gradient": ["gradient/norm"],
    }


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    steps = np.arange(10 * MOST_POINTS)
    values = np.where(steps == steps[-1], np.inf, 1.0)
    figure = curves_figure([Records({"value": Column(steps, values)})])
    assert figure is not None
    [line] = figure.axes[0].lines
    x, y = drawn_by(line)
    assert len(x) == MOST_POINTS
    assert (x[0], x[-1]) == (0, steps[-1])
    assert np.isnan(y[-1])


def test_a_sweep_shows_the_comparison_of_its_settings_and_a_picture() -> None:
    table = descend.sweep([*QUICK, "optimizer=adam,sgd", "optimizer.lr=1e-4", "seed=0,1"])
    html = table._repr_html_()
    for text in ("<b>4 runs</b>", "<td>sgd</td>", "value, median", "image/png"):
        assert text in html, text
    lines = {line.get_label(): line for line in descend.plot(table).axes[0].lines}
    curve = table.curves.filter(run=0, name="value").sort("step")
    np.testing.assert_array_equal(drawn_by(lines["adam"])[1], curve["value"])  # seeds change nothing here
    assert not isinstance(table.filter(optimizer="sgd"), type(table))


def test_what_is_made_of_a_table_is_shown_as_polars_shows_it() -> None:
    table = descend.sweep([*QUICK, "optimizer.lr=1e-5,1e-4,1e-3"])
    assert descend.plot(table.head(3)).axes[0].get_xlabel() == "lr"
    assert table.select("value")._repr_html_() == pl.DataFrame(table["value"].to_frame())._repr_html_()
    with pytest.raises(ConfigurationError, match="nothing to draw"):
        descend.plot(table.select("value"))


def test_a_bar_below_the_cell_while_a_run_goes(
    page: list[str], records: Records, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)
    assert in_notebook()
    bar = ProgressBar(2000)
    bar.write(records)
    bar.close(result)
    assert 'value="3" max="2000"' in page[1]
    assert "steps/s" in page[1]
    assert page[-1] == ""


def test_a_bar_below_the_cell_while_a_sweep_goes(page: list[str]) -> None:
    bar = SweepBar(100)
    bar.advance(25)
    bar.close()
    assert 'value="25" max="100"' in page[1]
    assert page[-1] == ""


def test_elsewhere_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
