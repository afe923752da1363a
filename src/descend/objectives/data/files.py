"""Files of the user's: found, read, and told of in a sentence where that fails."""

import difflib
from collections.abc import Collection, Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

from descend.errors import ConfigurationError


def stamp(path: str, folder: bool = False) -> tuple[Hashable, ...]:
    """Return what tells a file or folder, as it is now, from every other.

    Raises:
        ConfigurationError: there is none, or it is the other of the two.
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
    told = place.stat()
    return str(place), told.st_mtime_ns, told.st_size


@contextmanager
def reading(path: object) -> Iterator[None]:
    """Turn whatever a library raises of a file into a sentence.

    Raises:
        ConfigurationError: naming the file, and what the library said.
    """
    try:
        yield
    except (ConfigurationError, MemoryError):
        raise
    except Exception as error:  # what a damaged file makes a library raise is not told by any
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise ConfigurationError(
            f"{path} cannot be read: {type(error).__name__}: {reason}; check that it is whole, and of the kind that "
            "its name says."
        ) from error


def check_among(path: object, kind: str, name: str, known: Collection[str], field: str) -> None:
    """Require that a file has what a field names.

    Raises:
        ConfigurationError: naming what the file has, and the nearest of it.
    """
    if name in known:
        return
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    raise ConfigurationError(
        f"objective.data.{field} names {name!r}, but {path} has the {kind}s {enumerated(known)}."
        + (f" Did you mean {close[0]!r}?" if close else f" Name one by objective.data.{field}.")
    )


def enumerated(names: Collection[str], most: int = 20) -> str:
    """Return names as a sentence has them, not all of very many."""
    shown = ", ".join(list(names)[:most])
    return f"{shown}… ({len(names)})" if len(names) > most else shown or "none"
