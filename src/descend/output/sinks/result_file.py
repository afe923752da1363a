"""The sink that leaves result.json behind."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from descend.atomic import clear_temporaries, remove
from descend.records import Records

if TYPE_CHECKING:
    from descend.engine.result import Result


@dataclass
class ResultFile:
    """Writes result.json into `folder` at the end; put last, so that its presence says that all else is there.

    Attributes:
        refused: why it could not be written, in a sentence; None where it was.
    """

    folder: Path
    refused: str | None = None

    def write(self, records: Records) -> None:
        pass

    def save(self) -> None:
        pass

    def restore(self, step: int) -> None:
        clear_temporaries(self.folder)
        remove(self.folder / "result.json")

    def close(self, result: "Result") -> None:
        try:
            result.write(self.folder)
        except OSError as error:
            self.refused = (
                f"{self.folder / 'result.json'} cannot be written: {error.strerror}; make room and run it again."
            )
