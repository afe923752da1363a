"""Derivatives without automatic differentiation: finite differences in float64, extrapolated."""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from descend.audit.reference import Reference
from descend.audit.subspace import Function

FIRST_STEP, SHRINK, LEVELS = 0.1, 1.6, 18
"""Steps from 0.1 to 3e-5: wide enough for rounding, narrow enough to leave kinks outside at the end."""

RESOLVED = 1e-6
"""Share of the derivative by which the two sides may differ, or differences fail to settle, before it is a kink."""


def finite_differences(function: Function, at: Tensor) -> Reference:
    """The derivative of `function` at `at` [d] by central differences; by one-sided ones where the two sides differ.

    Ridders 1982, "Accurate computation of F′(x) and F′(x)F″(x)": Richardson's extrapolation over shrinking steps,
    keeping the entry of least estimated error.
    """
    units = torch.eye(len(at), dtype=at.dtype, device=at.device)
    lows, highs, errors = zip(*(_along(_line(function, at, unit)) for unit in units), strict=True)
    error = torch.tensor(errors, dtype=at.dtype, device=at.device)
    return Reference("finite differences", torch.stack(lows, dim=-1), torch.stack(highs, dim=-1), error)


def _line(function: Function, at: Tensor, unit: Tensor) -> Callable[[float], Tensor]:
    return lambda t: function(at + t * unit).detach()


def _along(line: Callable[[float], Tensor]) -> tuple[Tensor, Tensor, float]:
    """The least and greatest derivative of `line` at 0 (equal where it has one), and their error."""
    steps = [FIRST_STEP / SHRINK**level for level in range(LEVELS)]
    here = line(0.0)
    after, before = ([line(sign * h) for h in steps] for sign in (1, -1))
    right, right_error = _extrapolate([(y - here) / h for y, h in zip(after, steps, strict=True)], power=1)
    left, left_error = _extrapolate([(here - y) / h for y, h in zip(before, steps, strict=True)], power=1)
    pairs = zip(after, before, steps, strict=True)
    middle, error = _extrapolate([(y - z) / (2 * h) for y, z, h in pairs], power=2)
    scale = 1 + middle.abs().max().item()
    one_sided = right_error + left_error
    # A jump in the derivative leaves the central quotient settled, on the mean of the two sides.
    if error <= RESOLVED * scale and not (right - left).abs().max().item() > RESOLVED * scale + 10 * one_sided:
        return middle, middle, error
    # Between kinks all around the point, one-sided quotients wander too, and agree here and there by chance.
    wanders = one_sided > RESOLVED * (1 + max(left.abs().max().item(), right.abs().max().item()))
    return torch.minimum(left, right), torch.maximum(left, right), math.inf if wanders else one_sided


def _extrapolate(previous: list[Tensor], power: int) -> tuple[Tensor, float]:
    """The limit of difference quotients for h → 0, their errors being series in h**power; and its estimated error."""
    best, least = previous[-1], float("inf")
    for column in range(1, LEVELS):
        factor = SHRINK ** (power * column)
        row = [(factor * finer - coarser) / (factor - 1) for coarser, finer in pairwise(previous)]
        for value, coarser, finer in zip(row, previous, previous[1:], strict=False):
            error = max((value - coarser).abs().max().item(), (value - finer).abs().max().item())
            if error < least:
                best, least = value, error
        previous = row
    return best, least
