"""Comparing points of several losses, each to be lowered: which are beaten by none, and how much they dominate."""

import numpy as np


def pareto_front(points: np.ndarray) -> np.ndarray:
    """Return which points no other dominates: is at most as high everywhere and lower somewhere.

    Args:
        points: float64 [n, m]; one with a NaN or infinite loss is on no front.

    Returns:
        bool [n].
    """
    front = np.zeros(len(points), bool)
    finite = np.flatnonzero(np.isfinite(points).all(axis=1))
    places: list[int] = []
    # In this order no point is dominated by a later one.
    for place in finite[np.lexsort(points[finite].T[::-1])]:
        kept, point = points[places], points[place]
        if not ((kept <= point).all(axis=1) & (kept < point).any(axis=1)).any():
            places.append(place)
    front[places] = True
    return front


def hypervolume(points: np.ndarray, reference: np.ndarray) -> float:
    """Return the volume of what points dominate, up to a reference point (Zitzler & Thiele 1999).

    The space is cut into slices along the last loss; each slice's volume is that of one loss fewer. Its time grows as
    n^(m−1): for the few losses of a task that is quick.

    Args:
        points: float64 [n, m]; those that are not below the reference everywhere add nothing.
        reference: float64 [m].
    """
    inside = points[(points < reference).all(axis=1)]
    if not len(inside):
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - inside.min())
    inside = inside[np.argsort(inside[:, -1])]
    heights = np.append(inside[1:, -1], reference[-1]) - inside[:, -1]
    slices = [
        hypervolume(inside[: i + 1, :-1], reference[:-1]) * height for i, height in enumerate(heights) if height > 0
    ]
    return float(sum(slices))
