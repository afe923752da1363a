"""The progress bar shows itself to terminals and for long runs only."""

import io

import pytest
from rich.console import Console

from descend.engine.result import Result
from descend.output.sinks import progress
from descend.output.sinks.progress import ProgressBar
from descend.records import Records


def shown(records: Records, result: Result, terminal: bool) -> str:
    file = io.StringIO()
    bar = ProgressBar(2000, Console(file=file, force_terminal=terminal, width=100, color_system=None))
    bar.write(Records())
    bar.write(records)
    bar.close(result)
    return file.getvalue()


def test_a_long_run_on_a_terminal(records: Records, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)
    records.scalars["value"].values[-1] = 1.25
    text = shown(records, result, terminal=True)
    for part in ("3/2000", "value 1.25", "steps/s"):
        assert part in text, part


def test_a_short_run_shows_nothing(records: Records, result: Result) -> None:
    assert shown(records, result, terminal=True) == ""


def test_no_terminal_shows_nothing(records: Records, result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", -1.0)
    assert shown(records, result, terminal=False) == ""
