"""The journal of an Optuna study: a line of JSON for each operation, written to disk a batch at a time."""

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file that Optuna's `JournalStorage` reads and appends to, and that optuna-dashboard opens.

    Optuna's own journal waits for the disk at each operation, of which a trial has five or more, and its database reads
    all trials of a batch again whenever one is asked for. Here lines wait in memory until `save`.

    Args:
        path: the file, which the first `save` makes. If a kill left an incomplete last line, it is cut off.
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
        """Return the operations from number `log_number_from` on."""
        return [json.loads(line) for line in self._lines[log_number_from:]]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append operations, which wait in memory until `save`."""
        self._lines += [json.dumps(log, separators=(",", ":")) for log in logs]

    def save(self) -> None:
        """Write the operations that wait, and wait until they are on disk."""
        with self._path.open("ab") as file:
            file.write("".join(f"{line}\n" for line in self._lines[self._saved :]).encode())
            file.flush()
            os.fsync(file.fileno())
        self._saved = len(self._lines)
