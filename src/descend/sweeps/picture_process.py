"""A process that draws a sweep's picture: importing matplotlib takes as long as a small sweep.

`python -m descend.sweeps.picture_process` reads the pickled arguments of `sweep_picture` from its input, and writes the
picture.
"""

import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

import polars as pl

from descend.output.pictures.sweep import sweep_picture


class PictureProcess:
    """A process that has imported matplotlib by the time there is something to draw; to be used in a `with`.

    It ends when this process ends, in whatever way, because its input is then closed. No process is started where
    matplotlib is imported already.
    """

    def __init__(self) -> None:
        command = [sys.executable, "-m", "descend.sweeps.picture_process"]
        pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
        self._process: subprocess.Popen[bytes] | None = None
        if "matplotlib" not in sys.modules:
            # In a session of its own: Ctrl-C is for this process.
            self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, start_new_session=True)

    def draw(self, ranked: pl.DataFrame, swept: Sequence[str], bands: pl.DataFrame | None = None) -> None:
        """Begin to draw; for the arguments see `sweep_picture`."""
        self._asked = ranked, swept, bands
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError), self._process.stdin as pipe:
                pipe.write(pickle.dumps(self._asked))

    def picture(self) -> bytes | None:
        """Wait for the picture and return it; drawn here, where the other process failed."""
        if self._process is not None and self._process.stdout is not None:
            drawn = self._process.stdout.read()
            if self._process.wait() == 0:
                return drawn or None
        return sweep_picture(*self._asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.__exit__(None, None, None)


def main() -> None:
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401  # while nothing is asked yet

    asked = sys.stdin.buffer.read()
    if asked:
        sys.stdout.buffer.write(sweep_picture(*pickle.loads(asked)) or b"")


if __name__ == "__main__":
    main()
