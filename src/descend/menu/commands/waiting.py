"""A progress bar for a command that takes longer than a moment; its lines are printed as they come."""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Waiting:
    """Shows how far a command has come, on a terminal.

    Args:
        what: what is waited for.
        total: how many parts it has; None where that is not known.
        console: where to draw.
    """

    def __init__(self, what: str, total: int | None = None, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *([] if total is None else [MofNCompleteColumn()]),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),  # else lines meant for a file would go to the terminal
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def advance(self, line: str | None) -> None:
        """Print a line, if any, about the part that was done."""
        if line is not None:
            print(line, flush=True)
        self._bar.advance(self._task)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()
