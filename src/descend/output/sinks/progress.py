"""A progress bar for runs long enough to wait for."""

import sys
import time
from collections import deque
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from descend.output.notebook import NotebookBar, in_notebook
from descend.records import Records

if TYPE_CHECKING:
    from rich.console import Console

    from descend.engine.result import Result

# Importing rich takes a tenth of the time that importing torch does: only a bar that is drawn pays it.

PATIENCE_SECONDS = 2.0
"""Shorter runs show no bar: it would flash by."""
RECENT_SECONDS = 2.0
"""The rate is that of the steps made within these last seconds."""


class ProgressBar:
    """Shows steps, value, steps per second and the time left; nothing where there is neither terminal nor notebook.

    Args:
        steps: the last step of the run.
        console: where to draw.
    """

    def __init__(self, steps: int, console: "Console | None" = None) -> None:
        self._steps = steps
        self._console = console
        self._seen = in_notebook() or (sys.stderr.isatty() if console is None else console.is_terminal)
        self._began = time.monotonic()
        self._seen_at: deque[tuple[float, int]] = deque()
        self._first = 0
        self._bar: NotebookBar | TerminalBar | None = None

    def write(self, records: Records) -> None:
        if not self._seen or "value" not in records.scalars:
            return
        steps, values = records.scalars["value"]
        if not len(steps):
            return
        now, made = time.monotonic(), int(steps[-1])
        rate = self._rate(now, made)
        if self._bar is None and now - self._began > PATIENCE_SECONDS:
            self._bar = NotebookBar(self._steps) if in_notebook() else TerminalBar(self._steps, self._console)
        if self._bar is not None:
            left = "" if not rate else f"{timedelta(seconds=round((self._steps - made) / rate))} left"
            shown = rate or (made - self._first) / (now - self._began)
            self._bar.show(made, f"value {float(values[-1]):.6g} {shown:,.0f} steps/s {left}")

    def _rate(self, now: float, made: int) -> float | None:
        """Return the steps per second of late: compiling and the first, small blocks are no part of it."""
        self._seen_at.append((now, made))
        while len(self._seen_at) > 2 and self._seen_at[1][0] <= now - RECENT_SECONDS:
            self._seen_at.popleft()
        then, before = self._seen_at[0]
        return (made - before) / (now - then) if now > then else None

    def save(self) -> None:
        pass

    def restore(self, step: int) -> None:
        self._first = step

    def close(self, result: "Result") -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away, however the run ended: it hides the terminal's cursor."""
        if self._bar is not None:
            self._bar.stop()


class CountBar:
    """Shows how many parts of a task are done, once it has taken longer than a moment.

    Args:
        total: the number of parts.
    """

    def __init__(self, total: int) -> None:
        self._total, self._done, self._began = total, 0, time.monotonic()
        self._bar: NotebookBar | TerminalBar | None = None

    def __enter__(self) -> Self:
        return self

    def advance(self, done: int) -> None:
        """Count `done` more parts as done."""
        self._done += done
        seen = in_notebook() or sys.stderr.isatty()
        if self._bar is None and seen and time.monotonic() - self._began > PATIENCE_SECONDS:
            self._bar = NotebookBar(self._total) if in_notebook() else TerminalBar(self._total)
        if self._bar is not None:
            self._bar.show(self._done, "")

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


class TerminalBar:
    """A bar on a terminal.

    Args:
        total: what is complete.
        console: where to draw.
    """

    def __init__(self, total: int, console: "Console | None" = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
        self._bar = Progress(*columns, console=console or Console(stderr=True), auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=total)
        self._bar.start()

    def show(self, done: int, text: str) -> None:
        """Draw how much is done, and a text beside it."""
        self._bar.update(self._task, completed=done, description=text)
        self._bar.refresh()

    def stop(self) -> None:
        """Take the bar away."""
        self._bar.stop()
