"""The result as a person reads it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from descend.engine.result import Result
from descend.output.table import show


def printed(result: Result, folder: Path | None, terminal: bool) -> str:
    file = io.StringIO()
    show(result, folder, Console(file=file, force_terminal=terminal, width=100, color_system=None))
    return file.getvalue()


def test_the_table_tells_how_it_went_and_where_to_look(tmp_path: Path, result: Result) -> None:
    folder = tmp_path / "a run"
    folder.mkdir()
    (folder / "events.out.tfevents.1").touch()
    text = printed(result, folder, terminal=True)
    for part in (
        "finished: all 3 steps were made",
        "3 in 2 s, 2 steps/s",
        "0.25",
        "0.125",
        "cross_entropy",
        "accuracy",
        "0.975",
        "[1, 2]",
        "4 function, 4 gradient",
        f"descend board '{folder}'",
    ):
        assert part in text, part
    assert "hvp" not in text


def test_no_event_file_no_command(tmp_path: Path, result: Result) -> None:
    assert "see it" not in printed(result, tmp_path, terminal=True)
    assert "kept in" not in printed(result, None, terminal=True)


def test_a_run_of_no_time_has_no_rate(result: Result) -> None:
    result.seconds, result.steps = 0.0, 0
    assert "steps/s" not in printed(result, None, terminal=True)


@pytest.mark.parametrize("reason", ["the total became nan at step 3", "odd [/] [bold] marks"])
def test_one_line_where_there_is_no_terminal(tmp_path: Path, result: Result, reason: str) -> None:
    result.status, result.reason = "diverged", reason
    assert printed(result, tmp_path, terminal=False) == f"diverged: {reason}; value 0.25; {tmp_path}\n"
    assert reason in printed(result, None, terminal=True)
