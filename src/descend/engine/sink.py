"""The contract of a sink: where records go."""

from typing import TYPE_CHECKING, Protocol

from descend.records import Records

if TYPE_CHECKING:
    from descend.engine.result import Result


class Sink(Protocol):
    """Consumes the records of one run."""

    def write(self, records: Records) -> None:
        """Take one block of records; blocks come in the order of their steps."""

    def close(self, result: "Result") -> None:
        """Finish, knowing how the run ended; called once, also after a failure."""
