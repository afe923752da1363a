"""A picture drawn by another process is the picture."""

import subprocess
import sys
from types import SimpleNamespace

import polars as pl
import pytest

from descend.output.pictures.sweep import sweep_picture
from descend.output.report.ranking import ranked_runs
from descend.sweeps.picture_process import PictureProcess

ROWS = {
    "run": range(4),
    "optimizer.lr": [0.1, 0.2, 0.4, 0.8],
    "status": ["finished"] * 4,
    "value": [4.0, 3.0, 2.0, 5.0],
}
TABLE = ranked_runs({"": pl.DataFrame(ROWS)}, None)
SWEPT = ["optimizer.lr"]


@pytest.fixture
def _not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by taking it out of `sys.modules`: what is imported meanwhile would be torn.
    monkeypatch.setattr("descend.sweeps.picture_process.sys", SimpleNamespace(executable=sys.executable, modules={}))


@pytest.mark.usefixtures("_not_imported")
def test_it_is_drawn_by_a_process_of_its_own() -> None:
    with PictureProcess() as drawer:
        drawer.draw(TABLE, SWEPT)
        assert drawer._process is not None
        assert drawer.picture() == sweep_picture(TABLE, SWEPT)
        assert drawer._process.returncode == 0


@pytest.mark.usefixtures("_not_imported")
def test_it_is_drawn_here_where_the_process_has_died() -> None:
    with PictureProcess() as drawer:
        assert drawer._process is not None
        drawer._process.kill()
        drawer._process.wait()
        drawer.draw(TABLE, SWEPT)
        assert drawer.picture() == sweep_picture(TABLE, SWEPT)


@pytest.mark.usefixtures("_not_imported")
def test_of_a_sweep_without_a_picture_there_is_none() -> None:
    with PictureProcess() as drawer:
        drawer.draw(TABLE[:2], SWEPT)
        assert drawer.picture() is None


@pytest.mark.usefixtures("_not_imported")
def test_where_nothing_is_drawn_it_is_gone() -> None:
    with PictureProcess() as drawer:
        pass
    assert drawer._process is not None
    assert drawer._process.returncode is not None


def test_the_process_ends_with_its_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "descend.sweeps.picture_process"], input=b"", capture_output=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, b"")
