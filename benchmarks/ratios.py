"""Measuring one piece of work against another on a machine that others load too."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

Work = Callable[[], Callable[[], object]]
"""Sets up, and returns what is to be timed."""


class Ratio(NamedTuple):
    """CPU time of a work over that of its peer: the median of the rounds, and the quartiles around it."""

    median: float
    low: float
    high: float


def cpu_seconds(work: Work) -> float:
    """Return the CPU time that `work` takes in this process; other processes can delay it but add little to it."""
    timed = work()
    began = time.process_time()
    timed()
    return time.process_time() - began


def against(peer: Work, works: dict[str, Work], rounds: int) -> dict[str, Ratio]:
    """Return for each work its ratio to the peer, both run anew in each of `rounds` rounds, in turn.

    The peer runs before and after each work, and the ratio takes their mean, so that a drift of the clock cancels.
    """
    for work in [peer, *works.values()]:
        work()()  # the first time pays for imports and caches
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        before = cpu_seconds(peer)
        for name, work in works.items():
            took = cpu_seconds(work)
            after = cpu_seconds(peer)
            found[name].append(2 * took / (before + after))
            before = after
    quartiles = {name: statistics.quantiles(ratios, n=4) for name, ratios in found.items()}
    return {name: Ratio(median, low, high) for name, (low, median, high) in quartiles.items()}


def show(rows: dict[str, tuple[Ratio, float]]) -> bool:
    """Print work, ratio, quartiles, target and whether it was reached; return whether all were."""
    width = max(map(len, rows))
    print(f"{'work':<{width}}  ratio  quartiles      target  reached")
    for name, (ratio, target) in rows.items():
        reached = "yes" if ratio.median <= target else "no"
        print(f"{name:<{width}}  {ratio.median:5.3f}  {ratio.low:5.3f} {ratio.high:6.3f}  {target:6.3f}  {reached}")
    return all(ratio.median <= target for ratio, target in rows.values())
