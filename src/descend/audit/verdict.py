"""What one route gave at one order and point."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """From best to worst."""

    RIGHT = "right"
    CONSTANTS = "right, with constants"
    """Where what the function detaches is held constant, as autograd does; the function's own derivative is another."""
    AGREES = "agrees"
    """With nested reverse mode, of a function that is declared to have another derivative by design."""
    COARSE = "right, coarsely"
    """To the low precision that the function goes through."""
    RANDOM = "random"
    """The function gives another value at each call; right for the same draws, or not comparable."""
    NOT_TAKEN = "not taken"
    """Descend does not take the route for this function; the remark says why, and what it does instead."""
    UNCHECKED = "unchecked"
    REFUSED = "refused"
    RAISES = "raises"
    WRONG = "wrong"

    @property
    def severity(self) -> int:
        """0 for the best."""
        return list(Mark).index(self)


@dataclass(frozen=True)
class Judged:
    """The verdict on one route.

    Attributes:
        ours: whether descend itself takes the route at this order.
        error: the greatest of an entry, relative to it; None where the route gave nothing.
        believed: what it was held to; empty where nothing settled.
        remark: what was raised, if anything.
        otherwise: what descend does where this route of its own raises.
        made_of: the routes that it takes up where they end.
    """

    order: int
    route: str
    ours: bool
    verdict: Mark
    error: float | None
    believed: str
    remark: str = ""
    otherwise: str = ""
    made_of: tuple[str, ...] = ()


TRUE = (Mark.RIGHT, Mark.CONSTANTS, Mark.COARSE)
"""Verdicts on a derivative that is what it should be."""
