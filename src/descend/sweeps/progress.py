"""A progress bar over the steps of all runs of a sweep."""

import time
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from descend.output.notebook import NotebookBar, in_notebook

REDRAW_SECONDS = 0.25
"""A notebook is sent the bar so often."""


class SweepBar:
    """Shows how much of a sweep is done, its rate and the time left, on a terminal or in a notebook.

    Args:
        steps: of all runs together.
        console: where to draw.
    """

    def __init__(self, steps: int, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar: Progress | None = None
        self._below = NotebookBar(steps) if in_notebook() else None
        self._steps, self._done, self._drawn = steps, 0, 0.0
        self._began = time.monotonic()
        if console.is_terminal:
            columns = (
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[rate]} run-steps/s"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("", total=steps, rate="")
            self._bar.start()

    def advance(self, steps: int) -> None:
        """Count `steps` more, over all runs."""
        if self._bar is not None:
            speed = self._bar.tasks[0].speed
            self._bar.update(self._task, advance=steps, rate="" if speed is None else f"{speed:,.0f}")
        self._done += steps
        now = time.monotonic()
        if self._below is not None and self._done and now - self._drawn >= REDRAW_SECONDS:
            rate = self._done / (now - self._began)
            left = timedelta(seconds=round(max(0, self._steps - self._done) / rate))
            self._below.show(self._done, f"{rate:,.0f} run-steps/s {left} left")
            self._drawn = now

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
        if self._below is not None:
            self._below.stop()
