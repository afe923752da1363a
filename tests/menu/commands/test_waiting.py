"""The bar of a command that takes long: at a terminal alone, and never in the way of what is printed."""

import io

import pytest
from rich.console import Console

from descend.menu.commands.waiting import Waiting


def test_lines_go_to_where_they_are_meant_to(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = io.StringIO()
    with Waiting("audit of everything", 2, Console(file=terminal, force_terminal=True, width=80)) as waiting:
        waiting.advance("the first part")
        waiting.advance("the second part")
    assert capsys.readouterr().out == "the first part\nthe second part\n"
    assert "audit of everything" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = io.StringIO()
    with Waiting("audit", None, Console(file=elsewhere)) as waiting:
        waiting.advance("done")
    assert elsewhere.getvalue() == ""
    assert capsys.readouterr().out == "done\n"
