"""The journal of a study of Optuna's: each of its operations a line of JSON, written to disk a batch at a time."""

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file that Optuna's `JournalStorage` reads and appends to, and that optuna-dashboard opens.

    Optuna's own waits for the disk at each operation, of which a trial has five or more, and its database reads all
    trials of a batch again whenever one is asked for. Here lines wait until `save`.

    Args:
        path: made by the first `save`. A line that a kill cut short is taken back.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            os.truncate(path, len(whole))
        self._lines = whole.decode().split("\n")[:-1]
        self._saved = len(self._lines)

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Return the operations from a number on."""
        return [json.loads(line) for line in self._lines[log_number_from:]]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append operations, which wait until `save`."""
        self._lines += [json.dumps(log, separators=(",", ":")) for log in logs]

    def save(self) -> None:
        """Write what waits, and wait for the disk."""
        with self._path.open("ab") as file:
            file.write("".join(f"{line}\n" for line in self._lines[self._saved :]).encode())
            file.flush()
            os.fsync(file.fileno())
        self._saved = len(self._lines)
