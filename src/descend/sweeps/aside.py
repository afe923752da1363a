"""Drawing a sweep's picture in a process of its own, for importing matplotlib takes as long as a small sweep.

`python -m descend.sweeps.aside` reads the arguments of `sweep_picture` from its input, pickled, and writes the picture.
"""

import pickle
import subprocess
import sys
from collections.abc import Sequence

import polars as pl

from descend.sweeps.picture import sweep_picture


class Aside:
    """A process that has imported matplotlib by the time there is something to draw.

    It ends with this one, however this one ends, for its input does. Where matplotlib is imported already there is
    none.
    """

    def __init__(self) -> None:
        command = [sys.executable, "-m", "descend.sweeps.aside"]
        pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
        self._process = None
        if "matplotlib" not in sys.modules:
            # In a session of its own: Ctrl-C is for this process.
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, start_new_session=True)

    def draw(self, table: pl.DataFrame, swept: Sequence[str]) -> None:
        """Begin to draw; for the arguments see `sweep_picture`."""
        self._asked = table, swept
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(pickle.dumps(self._asked))
            self._process.stdin.close()

    def picture(self) -> bytes | None:
        """Wait for the picture and return it; drawn here, where the other process failed."""
        if self._process is None or self._process.stdout is None:
            return sweep_picture(*self._asked)
        drawn = self._process.stdout.read()
        self._process.stdout.close()
        return drawn or None if self._process.wait() == 0 else sweep_picture(*self._asked)


def main() -> None:
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401  # while nothing is asked yet

    asked = sys.stdin.buffer.read()
    if asked:
        sys.stdout.buffer.write(sweep_picture(*pickle.loads(asked)) or b"")


if __name__ == "__main__":
    main()
