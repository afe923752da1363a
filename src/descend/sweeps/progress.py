"""A progress bar over the steps of all runs of a sweep."""

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn


class SweepBar:
    """Shows how much of a sweep is done, its rate and the time left; nothing where the console is not a terminal.

    Args:
        steps: of all runs together.
        console: where to draw.
    """

    def __init__(self, steps: int, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar: Progress | None = None
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

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
