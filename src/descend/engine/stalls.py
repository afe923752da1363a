"""Since when the totals of runs have stood still."""

from typing import Any

import numpy as np

LEAST_TOTALS = 10
"""A total that stood still for fewer recorded steps is not worth a word,"""

SHARE = 0.1
"""nor is one that stood still for less than this share of the run."""


class Stalls:
    """For each run its last total, and the step at which it last took another value, bit for bit.

    It is looked at step by step, so that what is said does not depend on where blocks end. Where a sweep records fewer
    steps, only those are looked at.

    Args:
        runs: how many there are.
        stride: from one recorded step to the next.
    """

    def __init__(self, runs: int, stride: int = 1) -> None:
        self._last = np.full(runs, np.nan)
        self._since = np.zeros(runs, np.int64)
        self._stride, self._complete = stride, True

    def look(self, runs: np.ndarray, steps: np.ndarray, totals: np.ndarray) -> None:
        """Take in the totals of recorded steps, [k, runs] and int64 [k]; of all that were recorded, in order."""
        before = np.concatenate([self._last[runs][None], totals[:-1]])
        moved = totals[-1] != before[-1]  # in most steps of most runs, so that little is left to look at
        self._since[runs[moved]] = steps[-1]
        rest = np.flatnonzero(~moved)
        changed = totals[:, rest] != before[:, rest]
        any_ = changed.any(0)
        latest = len(totals) - 1 - changed[::-1].argmax(0)
        self._since[runs[rest[any_]]] = steps[latest[any_]]
        self._last[runs] = totals[-1]

    def forget(self) -> None:
        """Say nothing of these runs any more: their totals are of another batch at each step."""
        self._complete = False

    def told(self, run: int, steps: int) -> str:
        """Return since when the total of a run that made `steps` steps is the same, in words; "" if it moves."""
        since = int(self._since[run])
        if not self._complete or steps - since < max(LEAST_TOTALS * self._stride, SHARE * steps):
            return ""
        if self._stride == 1:
            return f"the total has not changed since step {since}"
        return f"the total is the same at each recorded step from step {since} on"

    def state(self, ended: np.ndarray) -> dict[str, Any]:
        """Return what a checkpoint keeps: plain numbers; of runs that ended nothing is said any more.

        Args:
            ended: which runs did, bool [runs]; the steps that a stack makes after their end are no part of them.
        """
        last, since = np.where(ended, 0.0, self._last), np.where(ended, 0, self._since)
        return {"last": last.tolist(), "since": since.tolist(), "complete": self._complete}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self._last, self._since = np.array(state["last"], np.float64), np.array(state["since"], np.int64)
        self._complete = state["complete"]
