"""Comparisons as text: what fits, what is left out and said, CSV and LaTeX that can be read again."""

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from descend.output.report.comparison import Comparison, SettingRow
from descend.output.report.printed import as_csv, as_latex, columns, fitting, printable
from descend.output.report.summary import Measure
from descend.output.sinks.comparison_text import compared

ROW = SettingRow(
    name="rmsprop lr=0.01",
    keys={"optimizer": "rmsprop", "optimizer.lr": 0.01},
    run=3,
    n=8,
    members=tuple(range(8)),
    trials=5,
    median=0.123456789,
    iqm=0.12,
    interval=(0.1, 0.15),
    improvement=0.75,
    p=None,
    verdict="best",
    ended="finished",
    medians={"metrics.accuracy": 0.9, "metrics.test_cross_entropy": None},
)
OTHER = replace(ROW, name="my_opt 100%", median=0.5, improvement=None, p=0.03, verdict="worse", trials=4)
COMPARISON = Comparison(
    "digits", Measure("value", "value"), (ROW, OTHER), settings=9, runs=72, notes=("unequal steps",)
)


def text(comparison: Comparison, width: int) -> str:
    written = io.StringIO()
    console = Console(file=written, width=width)
    console.print(printable(comparison, width))
    return written.getvalue()


def test_a_wide_page_shows_everything() -> None:
    shown = text(COMPARISON, 200)
    for part in (
        "digits, the best 2 of 9 settings",
        "value, median",
        "[0.1, 0.15]",
        "0.75",
        "p (Holm)",
        "test/accuracy",
    ):
        assert part in shown
    assert "not shown" not in shown
    assert "note: unequal steps" in shown


def test_the_text_page_leaves_out_what_a_terminal_does() -> None:
    """Its tables break words where columns are many."""
    found = compared([COMPARISON]).tensor.string_val[0].decode()
    assert found.startswith("**digits**\n\n| setting | value, median | runs | verdict | 95% interval | test/accuracy |")
    assert "in report.html: IQM, P(better than next), p (Holm)" in found
    assert "IQM |" not in found
    assert found.endswith("note: unequal steps")


@given(st.integers(40, 160))
def test_lines_keep_to_the_width_and_every_column_is_shown_or_named(width: int) -> None:
    shown = text(COMPARISON, width)
    assert max(map(len, shown.splitlines())) <= width
    words = " ".join(shown.split())
    for name in ("rmsprop lr=0.01", "my_opt 100%", "0.123457"):
        assert name in words
    kept, left_out = fitting(columns(COMPARISON), width)
    assert len(kept) + len(left_out) == len(columns(COMPARISON))
    assert ("not shown at this width: " + ", ".join(each.heading for each in left_out) in words) == bool(left_out)


def test_columns_that_say_nothing_are_left_away() -> None:
    alone = replace(COMPARISON, rows=(replace(ROW, n=1, medians={}, improvement=None, interval=(float("nan"),) * 2),))
    assert [each.heading for each in columns(alone)] == ["setting", "value", "best run"]


def test_csv_has_every_number_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv([COMPARISON, replace(COMPARISON, task="wine")]))))
    assert [row["objective"] for row in rows] == ["digits", "digits", "wine", "wine"]
    assert float(rows[0]["median"]) == 0.123456789
    assert rows[0]["optimizer.lr"] == "0.01"
    assert rows[0]["p_holm"] == ""
    assert rows[1]["verdict"] == "worse"


def test_latex_is_escaped_and_balanced() -> None:
    shown = as_latex([COMPARISON])
    assert r"\textbf{rmsprop lr=0.01}" in shown
    assert r"my\_opt 100\%" in shown
    assert shown.count("{") == shown.count("}")
    body = [line for line in shown.splitlines() if line.endswith(r"\\")]
    [count] = {line.count(" & ") for line in body}
    assert shown.splitlines()[1] == rf"\begin{{tabular}}{{l{'r' * count}}}"


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_what_is_not_finite_is_a_dash(bad: float) -> None:
    lost = replace(COMPARISON, rows=(ROW, replace(OTHER, median=bad, iqm=bad)))
    [median] = [each for each in columns(lost) if each.heading == "value, median"]
    assert median.cells == ("0.123457", "-")
