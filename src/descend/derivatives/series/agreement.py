"""Checks the coefficients of a series against the function's values at a few points."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.graph.compat import pytree
from descend.graph.recorder import unrecorded

RADII = (0.2, 0.05, 0.0125)
MORE = 6
"""How many points more than the order: the degree of the interpolating polynomial is order + MORE."""
CERTAIN = 20.0
"""A coefficient counts as wrong only if it is off by this many times the uncertainty of its estimate …"""
SHARE = 1e-4
"""… and by this share of its size."""


def require_agreement(name: str, values: Callable[[Tensor, float], Any], found: Any, order: int) -> None:
    """Raise ConfigurationError where coefficients [m, *shape] are not those of the function t -> `values`(t, 1).

    A polynomial interpolates the values at Chebyshev's points within each of three radii. A coefficient is wrong where
    the polynomials of two radii agree far better with each other than with what was found, and rounding does not
    explain the difference. Where they do not agree nothing is raised.

    Args:
        values: (t, factor) -> the function at t, its arguments multiplied by `factor`; a factor near 1 shows how much
            their rounding changes.
    """
    rows = _floating(found)
    if all(len(y) == 1 for y in rows):
        return  # constants
    with unrecorded(), torch.no_grad():
        try:
            estimates = [_coefficients(values, rows, radius, order) for radius in RADII]
        except Exception:  # the function cannot be evaluated near the point, so it is not checked
            return
        for place, y in enumerate(rows):
            tried = [each[place] for each in estimates]
            wrong = _first_wrong(y.detach(), tried, order)
            if wrong is not None:
                raise ConfigurationError(
                    f"{name} has no Taylor rule, and torch's own derivative of order {wrong} disagrees with its values "
                    "here. Ask for a lower order, or write the function with other operations."
                )


def _coefficients(
    values: Callable[[Tensor, float], Any], like: list[Tensor], radius: float, order: int
) -> list[tuple[Tensor, Tensor]]:
    """For every output, the first order + 1 coefficients of the polynomial through its values within a radius.

    Each comes with the error that the rounding of values and arguments may cause.
    """
    degree = order + MORE
    points = np.cos((2 * np.arange(degree + 1) + 1) * np.pi / (2 * degree + 2))
    inverse = np.linalg.inv(np.vander(points, increasing=True))[: order + 1]
    inverse /= radius ** np.arange(order + 1)[:, None]
    first = like[0]
    at = [torch.full((), radius * each, dtype=first.dtype, device=first.device) for each in points]
    eps = torch.finfo(first.dtype).eps
    tables, moved = ([_floating(values(t, factor)) for t in at] for factor in (1.0, 1.0 + eps))
    weights = torch.as_tensor(inverse, dtype=first.dtype, device=first.device)
    found = []
    for column, beside in zip(zip(*tables, strict=True), zip(*moved, strict=True), strict=True):
        rows, own = torch.stack(column), weights.to(column[0])
        off = torch.maximum(eps * rows.abs(), (torch.stack(beside) - rows).abs())
        found.append((torch.tensordot(own, rows, 1), torch.tensordot(own.abs(), off, 1)))
    return found


def _floating(values: Any) -> list[Tensor]:
    return [y for y in pytree.tree_leaves(values) if isinstance(y, Tensor) and y.is_floating_point()]


def _first_wrong(found: Tensor, estimates: list[tuple[Tensor, Tensor]], order: int) -> int | None:
    """The lowest order at which an entry is wrong, if any."""
    missing = order + 1 - len(found)
    found = torch.cat([found, found.new_zeros(missing, *found.shape[1:])]) if missing else found
    wrong = torch.zeros_like(found, dtype=torch.bool)
    for (coarse, rounding), (fine, _) in pairwise(estimates):
        known = torch.maximum((coarse - fine).abs(), rounding)
        size = torch.maximum(coarse.abs(), found.abs().nan_to_num(nan=0.0, posinf=0.0))
        off = (found - coarse).abs().nan_to_num(nan=torch.inf)
        wrong |= (off > CERTAIN * known) & (off > SHARE * size) & known.isfinite()
    for k in range(1, order + 1):
        if wrong[k].any():
            return k
    return None
