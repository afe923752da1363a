"""The steps since which the totals of runs have not changed."""

from typing import Any

import numpy as np

LEAST_TOTALS = 10
"""A total that did not change for fewer recorded steps is not mentioned,"""

SHARE = 0.1
"""nor is one that did not change for less than this share of the run."""


class Stalls:
    """Remembers for each run its last total, and the step at which the total last changed, bit for bit.

    It sees the total of every step, so that its answer does not depend on where blocks end. Of a sweep that records
    fewer steps it sees these alone.

    Args:
        runs: the number of runs.
        stride: steps from one recorded step to the next.
    """

    def __init__(self, runs: int, stride: int = 1) -> None:
        self._last = np.full(runs, np.nan)
        self._since = np.zeros(runs, np.int64)
        self._stride, self._complete = stride, True

    def look(self, runs: np.ndarray, steps: np.ndarray, totals: np.ndarray) -> None:
        """Take the totals [k, runs] of recorded steps [k], int64; called once for each recorded step, in order."""
        moved = totals[-1] != (totals[-2] if len(totals) > 1 else self._last[runs])
        self._since[runs[moved]] = steps[-1]
        rest = np.flatnonzero(~moved)  # few, at most steps of most runs
        since = np.concatenate([self._last[runs[rest]][None], totals[:, rest]])
        changed = since[1:] != since[:-1]
        any_ = changed.any(0)
        latest = len(totals) - 1 - changed[::-1].argmax(0)
        self._since[runs[rest[any_]]] = steps[latest[any_]]
        self._last[runs] = totals[-1]

    def forget(self) -> None:
        """Say nothing of these runs from now on: each of their totals is of another batch."""
        self._complete = False

    def told(self, run: int, steps: int) -> str:
        """Return in words since when the total of a run of `steps` steps has not changed; "" if it changes."""
        since = int(self._since[run])
        if not self._complete or steps - since < max(LEAST_TOTALS * self._stride, SHARE * steps):
            return ""
        if self._stride == 1:
            return f"the total has not changed since step {since}"
        return f"the total is the same at each recorded step from step {since} on"

    def state(self, ended: np.ndarray) -> dict[str, Any]:
        """Return plain numbers for a checkpoint; those of runs that have ended are cleared.

        Args:
            ended: which runs have ended, bool [runs]: a stack goes on with them, but these steps are not theirs.
        """
        last, since = np.where(ended, 0.0, self._last), np.where(ended, 0, self._since)
        return {"last": last.tolist(), "since": since.tolist(), "complete": self._complete}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self._last, self._since = np.array(state["last"], np.float64), np.array(state["since"], np.int64)
        self._complete = state["complete"]
