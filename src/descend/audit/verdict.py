"""The verdict on one route at one order and point."""

from dataclasses import dataclass
from enum import StrEnum


class Mark(StrEnum):
    """From best to worst."""

    RIGHT = "right"
    CONSTANTS = "right, with constants"
    """What the function detaches is held constant, as autograd does; the function's own derivative is another."""
    AGREES = "agrees"
    """It agrees with nested reverse mode, for a function that is declared to have another derivative by design."""
    COARSE = "right, coarsely"
    """Right to the low precision that the function goes through."""
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
        error: the greatest relative error of an entry; None where the route gave no result.
        believed: the reference that it was judged by; empty where none settled.
        remark: what was raised, if anything.
        otherwise: what descend does instead where this route of its own raises.
        made_of: the routes that it builds on.
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
"""Verdicts on a derivative that has the right value."""
