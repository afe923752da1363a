"""The progress bar shows itself to terminals and for long runs only."""

import io
import re
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from descend.engine.result import Result
from descend.output.sinks import progress
from descend.output.sinks.progress import ProgressBar
from descend.records import Column, Records


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


def test_the_first_time_left_is_right_after_a_slow_start(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds of compiling, then 1,000 steps in each tenth of a second: 19 s for the last 190,000."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    file = io.StringIO()
    bar = ProgressBar(192_000, Console(file=file, force_terminal=True, width=100, color_system=None))
    clock[0] = 2.0
    for steps in range(0, 3000, 1000):
        clock[0] += 0.1
        values = np.ones(1000)
        bar.write(Records({"value": Column(np.arange(steps, steps + 1000), values)}))
    shown = re.findall(r"(\d+):(\d\d):(\d\d) left", file.getvalue())
    bar.close(result)
    assert shown
    assert set(shown) == {("0", "00", "19")}
    assert "10,000 steps/s" in file.getvalue()


def test_a_resumed_run_counts_the_steps_of_its_own(result: Result, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 10.0, 10.0, 10.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    file = io.StringIO()
    bar = ProgressBar(2000, Console(file=file, force_terminal=True, width=100, color_system=None))
    bar.restore(1000)
    bar.write(Records({"value": Column(np.array([1100]), np.array([1.25]))}))
    bar.save()
    bar.close(result)
    assert "1100/2000" in file.getvalue()
    assert " 10 steps/s" in file.getvalue()  # 100 steps in 10 seconds
