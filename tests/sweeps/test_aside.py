"""A picture drawn by another process is the picture."""

import subprocess
import sys
from types import SimpleNamespace

import polars as pl
import pytest

from descend.output.pictures.sweep import sweep_picture
from descend.sweeps.aside import Aside

TABLE = pl.DataFrame({"optimizer.lr": [0.1, 0.2, 0.4, 0.8], "status": ["finished"] * 4, "value": [4.0, 3.0, 2.0, 5.0]})
SWEPT = ["optimizer.lr"]


@pytest.fixture
def _not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by taking it out of `sys.modules`: what is imported meanwhile would be torn.
    monkeypatch.setattr("descend.sweeps.aside.sys", SimpleNamespace(executable=sys.executable, modules={}))


@pytest.mark.usefixtures("_not_imported")
def test_it_is_drawn_by_a_process_of_its_own() -> None:
    with Aside() as aside:
        aside.draw(TABLE, SWEPT)
        assert aside._process is not None
        assert aside.picture() == sweep_picture(TABLE, SWEPT)
        assert aside._process.returncode == 0


@pytest.mark.usefixtures("_not_imported")
def test_it_is_drawn_here_where_the_process_has_died() -> None:
    with Aside() as aside:
        assert aside._process is not None
        aside._process.kill()
        aside._process.wait()
        aside.draw(TABLE, SWEPT)
        assert aside.picture() == sweep_picture(TABLE, SWEPT)


@pytest.mark.usefixtures("_not_imported")
def test_of_a_sweep_without_a_picture_there_is_none() -> None:
    with Aside() as aside:
        aside.draw(TABLE[:2], SWEPT)
        assert aside.picture() is None


@pytest.mark.usefixtures("_not_imported")
def test_where_nothing_is_drawn_it_is_gone() -> None:
    with Aside() as aside:
        pass
    assert aside._process is not None
    assert aside._process.returncode is not None


def test_the_process_ends_with_its_input() -> None:
    done = subprocess.run([sys.executable, "-m", "descend.sweeps.aside"], input=b"", capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"")
