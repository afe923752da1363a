"""The sink that leaves result.json behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from descend.atomic import remove, sweep
from descend.records import Records

if TYPE_CHECKING:
    from descend.engine.result import Result


@dataclass
class ResultFile:
    """Writes result.json into `folder` at the end; put last, so that its presence says that all else is there."""

    folder: Path

    def write(self, records: Records) -> None:
        pass

    def save(self) -> None:
        pass

    def restore(self, step: int) -> None:
        sweep(self.folder)
        remove(self.folder / "result.json")

    def close(self, result: "Result") -> None:
        result.write(self.folder)
