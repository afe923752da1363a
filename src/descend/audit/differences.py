"""Derivatives without automatic differentiation: finite differences in float64, extrapolated."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from descend.audit.reference import Reference
from descend.audit.subspace import Function

FIRST_STEP, SHRINK = 0.1, 1.6
LEVELS, MORE_LEVELS = 18, 33
"""Steps from 0.1 to 3e-5: wide enough for rounding, narrow enough to leave kinks outside at the end. Where these do not
settle, steps to 3e-8."""
COLUMNS = 12
"""Columns of Richardson's table: with more, rounding grows faster than errors fall."""

RESOLVED = 1e-6
"""An entry is a kink if its two sides differ, or its differences fail to settle, by more than this share of it."""
NOTHING = 1e-11
"""Share of the function's own size below which an entry of the derivative is taken for zero."""
ROUNDING = 10
"""How much extrapolation amplifies the rounding of a difference quotient."""


def finite_differences(
    function: Function, at: Tensor, terms: Tensor | None = None, eps: float = torch.finfo(torch.float64).eps
) -> Reference:
    """The derivative of `function` at `at` [d] by central differences; by one-sided ones where the two sides differ.

    Ridders 1982, "Accurate computation of F′(x) and F′(x)F″(x)": Richardson's extrapolation over shrinking steps, which
    keeps, for every entry, the value of least estimated error.

    Args:
        function: of a vector [d], of any shape.
        at: the point.
        terms: the size of the numbers that each entry of the function's value is summed from; the value's own size
            where it is not known.
        eps: the relative rounding of the function.
    """
    units = torch.eye(len(at), dtype=at.dtype, device=at.device)
    found = []
    for unit in units:
        line = _line(function, at, unit)
        along = _along(line, LEVELS, terms, eps)
        size = torch.maximum(along.low.abs(), along.high.abs())
        rough = along.error > torch.maximum(RESOLVED * size, NOTHING * along.scale)
        found.append(_along(line, MORE_LEVELS, terms, eps).better(along) if rough.any() else along)
    low, high, error, scale = (torch.stack(each, dim=-1) for each in zip(*(x.parts for x in found), strict=True))
    return Reference("finite differences", low, high, error, scale.max().item())


class _Slope:
    """Least and greatest derivative along a line (equal where it has one), their error, and the values' size."""

    def __init__(self, low: Tensor, high: Tensor, error: Tensor, scale: Tensor) -> None:
        self.low, self.high, self.error, self.scale = low, high, error, scale

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return self.low, self.high, self.error, self.scale

    def better(self, other: "_Slope") -> "_Slope":
        """For each entry, the one that is known with the smaller error."""
        less = self.error < other.error
        low, high, error, _ = (torch.where(less, a, b) for a, b in zip(self.parts, other.parts, strict=True))
        return _Slope(low, high, error, other.scale)


def _line(function: Function, at: Tensor, unit: Tensor) -> Callable[[float], Tensor]:
    return lambda t: function((at + t * unit).requires_grad_()).detach()


def _along(line: Callable[[float], Tensor], levels: int, terms: Tensor | None, eps: float) -> _Slope:
    steps = [FIRST_STEP / SHRINK**level for level in range(levels)]
    here = line(0.0)
    after, before = (torch.stack([line(sign * h) for h in steps]) for sign in (1, -1))
    h = torch.tensor(steps, dtype=here.dtype, device=here.device).reshape(-1, *[1] * here.dim())
    size = torch.maximum(after.abs(), before.abs()).nan_to_num(nan=0.0, posinf=0.0)
    size = torch.maximum(size, here.abs() if terms is None else terms.nan_to_num(nan=0.0, posinf=0.0))
    noise = ROUNDING * eps * size / h
    right, right_error, _ = _extrapolate((after - here) / h, noise, power=1)
    left, left_error, _ = _extrapolate((here - before) / h, noise, power=1)
    middle, error, floor = _extrapolate((after - before) / (2 * h), noise, power=2)
    scale = torch.maximum(torch.maximum(right.abs(), left.abs()), middle.abs())
    one_sided = right_error + left_error
    # At a jump of the derivative the central quotient settles too, on the mean of the two sides.
    jumps = (right - left).abs() > RESOLVED * scale + 10 * one_sided
    # A result that differs by no more than rounding explains is as accurate as rounding allows.
    smooth = ~jumps & ((error <= RESOLVED * scale) | (error <= 3 * floor))
    # With kinks all around the point, one-sided quotients do not settle either, and agree here and there by chance.
    wanders = one_sided > RESOLVED * torch.maximum(left.abs(), right.abs())
    return _Slope(
        torch.where(smooth, middle, torch.minimum(left, right)),
        torch.where(smooth, middle, torch.maximum(left, right)),
        torch.where(smooth, error, torch.where(wanders, math.inf, one_sided)).nan_to_num(nan=math.inf, posinf=math.inf),
        size.amax(0),
    )


def _extrapolate(quotients: Tensor, noise: Tensor, power: int) -> tuple[Tensor, Tensor, Tensor]:
    """The limit of difference quotients [levels, …] for h → 0, whose errors are series in h**power.

    Also its error, which is its distance from the two values it was made of plus the rounding of the finer one; and
    that rounding.
    """
    best, least = quotients[-1], torch.full_like(quotients[-1], math.inf)
    floor, previous = least, quotients
    for column in range(1, min(len(quotients), COLUMNS)):
        factor = SHRINK ** (power * column)
        coarser, finer = previous[:-1], previous[1:]
        row = (factor * finer - coarser) / (factor - 1)
        errors = torch.maximum((row - coarser).abs(), (row - finer).abs()) + noise[column:]
        error, where = errors.nan_to_num(nan=math.inf).min(dim=0)
        value, rounding = (x.gather(0, where.unsqueeze(0)).squeeze(0) for x in (row, noise[column:]))
        better = error < least
        best, floor = torch.where(better, value, best), torch.where(better, rounding, floor)
        least = torch.minimum(error, least)
        previous = row
    return best, least, floor
