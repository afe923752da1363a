"""The state of runs on disk, from which they go on to the same bits.

A checkpoint is written to a temporary file that takes its place once it is whole; the one before it is kept beside it.
It holds plain containers, numbers and tensors on the CPU alone: `torch.load(path, weights_only=True)` reads it.
"""

import os
import pickle
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile, ZipFile, is_zipfile

import torch
from torch import Tensor

from descend.atomic import whole
from descend.engine.provenance import source
from descend.errors import ConfigurationError

NAME = "checkpoint.pt"
BEFORE = "checkpoint.before.pt"
"""The one before, for where the last cannot be read."""

SPARE = "checkpoint.before.tmp"
"""A second name of the last, on its way to become the one before."""

PLAIN = (Tensor, int, float, str, bool, type(None))


@dataclass(frozen=True)
class Every:
    """How often a checkpoint is written: every that many steps, or seconds; with None for both, at the end only."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def of(cls, text: Any) -> "Every":
        """Return what `checkpoint.every` says: a number of steps, seconds as `60s`, or null.

        Raises:
            ConfigurationError: it says neither.
        """
        if text is None:
            return cls()
        if isinstance(text, int) and not isinstance(text, bool) and text >= 1:
            return cls(steps=text)
        seconds = re.fullmatch(r"(\d+(?:\.\d+)?)\s*s", text) if isinstance(text, str) else None
        if isinstance(text, str) and re.fullmatch(r"[1-9]\d*", text):
            return cls(steps=int(text))
        if seconds is None or not float(seconds[1]):
            raise ConfigurationError(
                f"checkpoint.every is {text!r}, but it must be a number of steps (1000), a number of seconds with an s "
                "(60s), or null for a checkpoint at the end alone."
            )
        return cls(seconds=float(seconds[1]))


class Clock:
    """Tells when a checkpoint is due.

    Args:
        every: how often.
        step: where the run begins.
    """

    def __init__(self, every: Every, step: int = 0) -> None:
        self._every, self._step, self._then = every, step, time.monotonic()

    def due(self, step: int) -> bool:
        """Tell whether one is due after `step` steps, and count from there if so."""
        by_steps = self._every.steps is not None and step - self._step >= self._every.steps
        by_time = self._every.seconds is not None and time.monotonic() - self._then >= self._every.seconds
        if by_steps or by_time:
            self._step, self._then = step, time.monotonic()
        return by_steps or by_time

    def most(self, step: int, size: int) -> int:
        """Return how many steps a block of `size` from `step` on may have at most, so that none is due inside it."""
        return size if self._every.steps is None else max(1, min(size, self._step + self._every.steps - step))


def save(content: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, and keep the one that stood there before as `checkpoint.before.pt`.

    Raises:
        TypeError: it holds something that is not plain; nothing was written.
        OSError: the disk is full, say; what stood there before is still there.
    """
    before = path.with_name(path.name.replace("checkpoint", "checkpoint.before"))
    with whole(path) as file:
        put(content, file)
        if is_zipfile(path):  # one that is torn must not take the place of a whole one
            spare = path.with_name(path.name.replace(NAME, SPARE))
            spare.unlink(missing_ok=True)
            os.link(path, spare)
            spare.replace(before)


def put(content: dict[str, Any], file: IO[bytes]) -> None:
    """Write a checkpoint into an open file; it raises what `save` raises."""
    made = {"version": version(), **on_cpu(content)}
    try:
        torch.save(made, file)
    except RuntimeError as error:  # torch turns the one into the other
        raise OSError(str(error)) from error


def on_cpu(tree: Any, where: str = "checkpoint") -> Any:
    """Return plain containers, numbers and tensors, these on the CPU and each with memory of its own size.

    Raises:
        TypeError: naming what is not plain.
    """
    if isinstance(tree, dict):
        return {name: on_cpu(item, f"{where}.{name}") for name, item in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(on_cpu(item, f"{where}[{i}]") for i, item in enumerate(tree))
    if isinstance(tree, Tensor):
        return tree.detach().cpu().clone(memory_format=torch.contiguous_format)
    if isinstance(tree, PLAIN):
        return tree
    raise TypeError(f"{where} is a {type(tree).__name__}, which a checkpoint cannot hold")


def load(path: Path) -> dict[str, Any]:
    """Return the last checkpoint that can be read: that at `path`, or else the one before it, which is said.

    Raises:
        ConfigurationError: there is none, or another version wrote it.
    """
    before = path.with_name(path.name.replace("checkpoint", "checkpoint.before"))
    found = next(readable_checkpoints([path, before]), None)
    if found is None:
        there = "cannot be read" if path.exists() else "is not there"
        raise ConfigurationError(f"{path} {there}, nor is one before it; start the run again in another folder.")
    content, used = found
    if used != path:
        print(f"descend: {path.name} cannot be read, so the one before it is taken: {used}.", file=sys.stderr)
    if content.get("version") != version():
        raise ConfigurationError(
            f"{used} was written by {versions_told(content.get('version'))}, but this is {versions_told(version())}, "
            "which may round differently; go on with the version that wrote it, or start the run again."
        )
    return content


def readable_checkpoints(paths: list[Path]) -> Iterator[tuple[dict[str, Any], Path]]:
    """Yield the checkpoints that can be read."""
    for path in paths:
        try:
            with ZipFile(path) as file:
                if file.testzip() is not None:  # torch does not look at the checksums that it writes
                    continue
            content = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, ValueError, KeyError, BadZipFile, pickle.UnpicklingError):
            continue
        if isinstance(content, dict):
            yield content, path


def version() -> dict[str, str]:
    """Return the versions on which the bits depend."""
    return {"descend": str(source()["version"]), "torch": str(torch.__version__)}


def versions_told(versions: Any) -> str:
    """Return versions in words."""
    return (
        " with ".join(f"{k} {v}" for k, v in versions.items()) if isinstance(versions, dict) else "an unknown version"
    )


Saver = Callable[[dict[str, Any]], None]
"""Writes the state of a loop."""
