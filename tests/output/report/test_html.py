"""The page: it needs nothing else, says what it shows, and stays small."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from descend.output.report.compared import comparisons
from descend.output.report.curves import bands_of
from descend.output.report.html import report_page, write_report
from descend.output.report.origin import Provenance, origin_of
from descend.output.report.runs import Runs

ORIGIN = Provenance("day", "descend -m 'optimizer=a,b'", {"torch": "2.13.0", "commit": None, "device_name": "x86_64"})


def runs(settings: int, seeds: int, steps: int = 100, name: str = "adam") -> Runs:
    generator = np.random.default_rng(0)
    rows = [(name, float(i + 1), seed) for i in range(settings) for seed in range(seeds)]
    table = pl.DataFrame(rows, schema=["optimizer", "optimizer.lr", "seed"], orient="row").with_row_index("run")
    values = generator.lognormal(size=len(rows))
    table = table.with_columns(
        pl.col("run").cast(pl.Int64),
        pl.Series("value", values),
        status=pl.lit("finished"),
        steps=pl.lit(steps),
        seconds=pl.lit(1.0),
    )
    many = np.repeat(np.arange(len(rows)), steps + 1)
    step = np.tile(np.arange(steps + 1), len(rows))
    curves = pl.DataFrame(
        {"run": many, "step": step, "name": ["value"] * len(many), "value": values[many] / (1 + step)}
    )
    return Runs(table, ("optimizer.lr", "seed"), curves.lazy())


def page_of(found: Runs, origin: Provenance = ORIGIN) -> str:
    compared = comparisons(found)
    return report_page(found, compared, bands_of(compared, found.curves), [origin], {"A picture": b"\x89PNG"})


def data_in(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_it_needs_nothing_from_elsewhere() -> None:
    page = page_of(runs(4, 3))
    places = set(re.findall(r"""(?:https?:)?//[\w./-]+""", re.sub(r"^\s*//.*$", "", page, flags=re.MULTILINE)))
    assert places <= {"http://www.w3.org/2000/svg"}  # a name, from which nothing is loaded
    assert not re.search(r"<link[^>]+stylesheet|<script[^>]+src=|@import", page)
    assert "<!-- " not in page


def test_it_shows_the_command_and_the_provenance() -> None:
    page = page_of(runs(4, 3))
    assert "descend -m &#x27;optimizer=a,b&#x27;" in page
    assert "torch 2.13.0, device name x86_64" in page
    assert "commit" not in page.partition("How to make it again")[2].partition("</section>")[0]


def test_it_says_whether_the_code_was_changed() -> None:
    for dirty in (False, True):
        page = page_of(runs(4, 3), Provenance("day", "", {"commit": "1a2b", "dirty": dirty}))
        assert ("commit 1a2b, with changes that were not committed" in page) == dirty
        assert "dirty" not in page.partition("How to make it again")[2]


def test_it_says_what_value_is() -> None:
    assert "the lowest value, the loss that is minimised, at the end of a run, is the best" in page_of(runs(4, 3))


def test_names_cannot_end_a_script_or_make_a_tag() -> None:
    bad = "</script><script>alert(1)//<!--"
    found = runs(3, 2)
    found = Runs(found.table.with_columns(pl.Series("optimizer", [bad, "b"] * 3)), ("optimizer", "seed"), found.curves)
    page = page_of(found, Provenance(bad, bad))
    assert page.count("<script") == 2
    assert "alert(1)" in page
    assert any(bad in each["name"] for each in data_in(page)["tasks"][0]["curves"])


@pytest.mark.parametrize(("settings", "seeds"), [(100, 10)])
def test_a_thousand_runs_make_a_small_page(settings: int, seeds: int) -> None:
    page = page_of(runs(settings, seeds))
    assert len(page.encode()) < 500_000
    assert len(data_in(page)["tasks"][0]["coordinates"]["results"]) == settings


def test_numbers_that_are_not_finite_leave_a_page_that_can_be_read() -> None:
    found = runs(4, 3)
    lost = found.table.with_columns(pl.when(pl.col("run") < 4).then(None).otherwise(pl.col("value")).alias("value"))
    data = data_in(page_of(Runs(lost, found.swept, found.curves)))
    assert None in data["tasks"][0]["coordinates"]["results"]


def test_without_curves_the_rest_is_there() -> None:
    found = runs(4, 3)
    page = page_of(Runs(found.table, found.swept, found.curves.filter(pl.lit(False))))
    assert data_in(page)["tasks"][0]["curves"] == []
    assert "<td>lr=" in page


def test_the_origin_of_a_folder_that_says_nothing_is_empty(tmp_path: Path) -> None:
    assert origin_of(tmp_path) == Provenance(tmp_path.name)
    (tmp_path / "result.json").write_text("{")
    (tmp_path / "multirun.yaml").write_text(": : :")
    assert origin_of(tmp_path) == Provenance(tmp_path.name)


def test_a_picture_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "paths.png").write_bytes(b"x" * 500_000)
    found = runs(3, 2)
    compared = comparisons(found)
    write_report(tmp_path / "page.html", found, compared, bands_of(compared, found.curves), [ORIGIN], [tmp_path])
    assert "<img" not in (tmp_path / "page.html").read_text()
