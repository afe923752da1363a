"""What one route gave at one order and point."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """From best to worst."""

    RIGHT = "right"
    UNCHECKED = "unchecked"
    REFUSED = "refused"
    RAISES = "raises"
    WRONG = "wrong"

    @property
    def severity(self) -> int:
        """0 for the best."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class Judged:
    """The verdict on one route.

    Attributes:
        ours: whether descend itself takes the route at this order.
        error: relative to the derivative's greatest entry; None where the route gave nothing.
        believed: what it was held to; empty where nothing settled.
        remark: what was raised, if anything.
    """

    order: int
    route: str
    ours: bool
    verdict: Verdict
    error: float | None
    believed: str
    remark: str = ""
