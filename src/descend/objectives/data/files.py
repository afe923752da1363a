"""Finds and reads the user's files, with one clear sentence where that fails."""

import difflib
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from descend.errors import ConfigurationError


def stamp(path: str, folder: bool = False) -> tuple[Hashable, ...]:
    """Return the identity of a file or folder in its present state: path, time of modification and size.

    Raises:
        ConfigurationError: it does not exist, or is a folder in place of a file, or the reverse.
    """
    place = Path(path).expanduser().resolve()
    kind, other = ("folder", "file") if folder else ("file", "folder")
    if not place.exists():
        raise ConfigurationError(
            f"objective.data.path is {path!r}, but there is no {kind} {place}; check its name, and the folder you are "
            "in."
        )
    if place.is_dir() != folder:
        raise ConfigurationError(f"objective.data.path is {path!r}, but a {kind} is needed there, and it is a {other}.")
    state = place.stat()
    return str(place), state.st_mtime_ns, state.st_size


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Turn an exception that a library raises while it reads a file into one sentence.

    Raises:
        ConfigurationError: names the file and says what the library said.
    """
    try:
        yield
    except (ConfigurationError, MemoryError):
        raise
    except Exception as error:  # no library documents what a damaged file makes it raise
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise ConfigurationError(
            f"{path} cannot be read: {type(error).__name__}: {reason}; check that it is complete, and of the kind that "
            "its name says."
        ) from error


def check_among(path: object, kind: str, name: str, known: Collection[str], field: str) -> None:
    """Require that a file has the column or array that a field names.

    Raises:
        ConfigurationError: lists what the file has, and suggests the closest name.
    """
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise ConfigurationError(
        f"objective.data.{field} names {name!r}, but {path} has the {kind}s {enumerated(known)}."
        + (f" Did you mean {close[0]!r}?" if close else f" Name one by objective.data.{field}.")
    )


def enumerated(names: Collection[str], most: int = 20) -> str:
    """Return names joined by commas, the first `most` of them."""
    shown = ", ".join(list(names)[:most])
    return f"{shown}… ({len(names)})" if len(names) > most else shown or "none"
