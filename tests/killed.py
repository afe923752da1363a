"""A sweep that is killed: its process keeps some chunks, and nothing runs after that."""

from descend.sweeps.job import Chunk
from descend.sweeps.store import Store


class Killed(BaseException):
    """Nothing runs after this."""


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
