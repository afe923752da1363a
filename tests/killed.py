"""A process that is killed: the exception that stands for it, and who raises it inside a sweep."""

from collections.abc import Callable

from descend.sweeps.job import Chunk
from descend.sweeps.store import Store


class Killed(BaseException):
    """Nothing runs after this, not even what cleans up."""


class Dying(Store):
    """A store whose process is killed instead of keeping one chunk more."""

    left: int

    def add(self, chunk: Chunk) -> None:
        self._count()
        super().add(chunk)

    def add_rung(self, number: int, chunk: Chunk) -> None:
        self._count()
        super().add_rung(number, chunk)

    def _count(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


def killed_after(steps: int) -> Callable[[int], None]:
    """Return a sweep's `progress` that raises once so many steps were made, over all runs."""
    made = 0

    def progress(more: int) -> None:
        nonlocal made
        made += more
        if made >= steps:
            raise Killed

    return progress
