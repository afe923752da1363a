"""SIGINT and SIGTERM: noted when they come, and obeyed between two blocks of steps, where all is in order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from descend.errors import StoppedAtOnce


@dataclass
class StopRequest:
    """The signal that asks a run or a sweep to stop.

    Attributes:
        number: of the first signal that came; 0 while none has.
    """

    number: int = 0

    def __call__(self) -> str | None:
        """Return the signal's name, or None."""
        return signal.Signals(self.number).name if self.number else None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM while the body runs; a SIGINT after another signal stops at once, with 130.

    A handler of the user's own stays in its place, and so does what a shell's background job ignores.
    """
    asked = StopRequest()

    def note(number: int, frame: Any) -> None:
        if asked.number and number == signal.SIGINT:
            raise StoppedAtOnce(128 + number)  # a KeyboardInterrupt ends a run as if it had been told to stop in order
        asked.number = asked.number or number

    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    ours = [n for n, handler in before.items() if handler in (signal.SIG_DFL, signal.default_int_handler)]
    if threading.current_thread() is not threading.main_thread():
        ours = []
    for number in ours:
        signal.signal(number, note)
    try:
        yield asked
    finally:
        for number in ours:
            signal.signal(number, before[number])
