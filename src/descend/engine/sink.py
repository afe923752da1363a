"""The contract of a sink: where records go."""

from typing import TYPE_CHECKING, Protocol

from descend.records import Records

if TYPE_CHECKING:
    from descend.engine.result import Result


class Sink(Protocol):
    """Consumes the records of one run.

    The engine calls `restore` (only where a run is resumed), then `write` and `save` in any order, then `close`.

    A checkpoint at `step` is written when that many steps were made: the records of all steps before it were written,
    none of `step` itself. `save` and `restore` keep a run's records in line with its checkpoints, so that a run that
    was killed, interrupted or made longer leaves the same records as one that was never stopped.
    """

    def write(self, records: Records) -> None:
        """Take one block of records; blocks come in the order of their steps."""

    def save(self) -> None:
        """Put everything written so far on the disk, where neither a kill nor a power failure can take it.

        Called just before each checkpoint is written. A run may save every minute, so this must be cheap.
        """

    def restore(self, step: int) -> None:
        """Go on where a checkpoint at `step` was written, in the folder of the run that wrote it.

        Called before anything is written, on a new sink. Afterwards the folder has the records of the steps before
        `step`, and no others: what the earlier process wrote after that checkpoint, or at its end, is gone. It must
        not matter when that process was killed, or whether it was killed while it restored. The last sink is restored
        first, so that result.json, which says that all else is there, is gone before anything else changes.
        """

    def close(self, result: "Result") -> None:
        """Finish, knowing how the run ended; called once, also after a failure."""
