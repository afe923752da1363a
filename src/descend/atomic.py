"""Files that a reader sees whole or not at all, and that are still there after the power fails."""

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_numbers = itertools.count()


@contextmanager
def whole_content(path: Path) -> Iterator[IO[bytes]]:
    """Open a file as `whole` does, but do not wait for its name: one call of `sync_names` does so for many files."""
    # Without the target's name: TensorBoard reads every file with "tfevents" in its name, also a hidden one.
    temporary = path.with_name(f".descend-{os.getpid()}-{next(_numbers)}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that replaces `path` only once all of it is on the disk, its name included.

    An error leaves what stood there before, and nothing else. A kill leaves what stood there before, and at worst a
    temporary file beside it, which `clear_temporaries` removes.
    """
    with whole_content(path) as file:
        yield file
    sync_names(path.parent)


def sync_names(folder: Path) -> None:
    """Put the names in a folder on the disk: syncing a file does not (fsync(2)), nor does renaming or removing it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, if it is there, so that it does not come back after the power fails."""
    if path.exists():
        path.unlink()
        sync_names(path.parent)


def clear_temporaries(folder: Path) -> None:
    """Remove the temporary files that killed processes left in a folder; no other process may be writing there."""
    for path in folder.glob(".descend-*.tmp"):
        path.unlink()
