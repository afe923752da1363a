"""Sums, products, quotients and powers of series, with constants and with each other."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series import elementary
from descend.derivatives.series.convolution import convolve
from descend.derivatives.series.fallback import differentiate_nested
from descend.derivatives.series.rules import decomposition, functions_named, primitive
from descend.derivatives.series.series import Series, Variable
from descend.graph.compat import in_transform
from descend.graph.recorder import is_recorded


def with_axes(rows: Tensor, dimensions: int) -> Tensor:
    """`rows` [m, *shape] as [m, 1, …, 1, *shape] with `dimensions` axes after the first, ready to broadcast."""
    missing = dimensions + 1 - rows.dim()
    return rows.reshape(rows.shape[0], *[1] * missing, *rows.shape[1:]) if missing > 0 else rows


def paired_rows(t: Variable, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """The coefficients of both, [m, *shape] and [n, *shape]: of one dtype (torch's promotion), broadcast together."""
    dtype, dimensions = torch.result_type(a, b), max(a.dim(), b.dim())
    first, second = (with_axes(t.rows(x), dimensions).to(dtype) for x in (a, b))
    if first.shape[1:] != second.shape[1:]:
        shape = torch.broadcast_shapes(first.shape[1:], second.shape[1:])
        first, second = first.expand(-1, *shape), second.expand(-1, *shape)
    return first, second


@primitive(*functions_named("add", "__add__", "__radd__"))
def add(t: Variable, a: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """a + alpha other. A constant only moves x_0."""
    other = other if alpha == 1 else other * alpha
    if t.owns(a) and t.owns(other):
        first, second = paired_rows(t, a, other)
        if first.shape[0] < second.shape[0]:
            first, second = second, first
        n = second.shape[0]
        return t.series(torch.cat([first[:n] + second, first[n:]]) if n < first.shape[0] else first + second)
    return _add_constant(t, *t.series_and_constant(a, other))


def _add_constant(t: Variable, series: Series, constant: Tensor | float) -> Tensor:
    """Add the rows (constant, 0, 0, …): the gradient is one sum, while that of changing a slice is three copies."""
    rows = series.coefficients
    if not isinstance(constant, Tensor):
        constant = rows.new_full((), constant)
    dtype, dimensions = torch.result_type(series, constant), max(series.dim(), constant.dim())
    shift = with_axes(constant.to(dtype)[None], dimensions)
    padded = F.pad(shift, [0, 0] * dimensions + [0, rows.shape[0] - 1])
    return t.series(with_axes(rows, dimensions).to(dtype) + padded)


@decomposition(*functions_named("sub", "subtract", "__sub__"))
def subtract(a: Tensor | float, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """a − alpha other."""
    return torch.add(a, -alpha * other)


@decomposition(*functions_named("rsub", "__rsub__"))
def subtract_from(a: Tensor, other: Tensor | float, *, alpha: float = 1) -> Tensor:
    """other − alpha a."""
    return -alpha * a + other


@primitive(*functions_named("neg", "negative", "__neg__"))
def negate(t: Variable, x: Series) -> Tensor:
    """−x."""
    return t.series(-x.coefficients)


@primitive(*functions_named("mul", "multiply", "__mul__", "__rmul__"))
def multiply(t: Variable, a: Tensor | float, other: Tensor | float) -> Tensor:
    """A convolution of coefficients, or a scaling by a constant."""
    if t.owns(a) and t.owns(other):
        return t.series(convolve(*paired_rows(t, a, other), t.order))
    series, constant = t.series_and_constant(a, other)
    return t.series(_rows_for(series, constant) * constant)


@primitive(*functions_named("div", "divide", "true_divide", "__truediv__", "__div__"))
def divide(t: Variable, a: Tensor | float, other: Tensor | float, *, rounding_mode: str | None = None) -> Tensor:
    """By a constant, or times the reciprocal series."""
    if rounding_mode is not None:
        return torch.div(t.constant_term(a), t.constant_term(other), rounding_mode=rounding_mode)
    if t.owns(other):
        return a * torch.reciprocal(other)
    series, constant = t.series_and_constant(a, other)
    return t.series(_rows_for(series, constant) / constant)


@decomposition(*functions_named("__rdiv__", "__rtruediv__"))
def divide_into(a: Tensor, other: Tensor | float) -> Tensor:
    """other / a."""
    return torch.reciprocal(a) * other


def _rows_for(series: Series, constant: Any) -> Tensor:
    """Coefficients with enough axes for `constant` to broadcast against them, in torch's promoted dtype."""
    if not isinstance(constant, Tensor):
        return series.coefficients
    return with_axes(series.coefficients, constant.dim()).to(torch.result_type(series, constant))


@primitive(*functions_named("pow", "__pow__"))
def power_rule(t: Variable, base: Tensor | float, exponent: Tensor | float) -> Tensor:
    """base^exponent: by products for whole numbers, so that 0 is no singularity; by exp and log for a series."""
    if not isinstance(exponent, Tensor):
        series, _ = t.series_and_constant(base, exponent)
        if float(exponent).is_integer():
            return _whole_power(series, int(exponent))
        return t.series(elementary.power_function(float(exponent))(series.coefficients, t.order)[0])
    if t.owns(base) and not t.owns(exponent) and (exponents := _few_constants(exponent)):
        first, *rest = (power_rule(t, base, each) for each in exponents)
        for each, value in zip(exponents[1:], rest, strict=True):
            first = torch.where(exponent == each, value, first)
        return first.expand(torch.broadcast_shapes(base.shape, exponent.shape))
    if t.owns(base) and t.owns(exponent):
        return torch.exp(exponent * torch.log(base))
    if not isinstance(base, Tensor) and base > 0:
        return torch.exp(exponent * torch.log(torch.as_tensor(base, dtype=exponent.dtype, device=exponent.device)))
    return differentiate_nested(t, torch.pow, (base, exponent), {})


FEW = 8
"""Up to this many different exponents in one tensor, each is raised by a power of its own."""


def _few_constants(exponent: Tensor) -> list[float]:
    """The different numbers that a constant tensor holds, if they are few and whole; [] where they are not known."""
    if type(exponent) is not Tensor or exponent.requires_grad or is_recorded():
        return []
    if in_transform() or exponent.is_complex():
        return []
    numbers = exponent.unique().tolist()
    return numbers if len(numbers) <= FEW and all(float(each).is_integer() for each in numbers) else []


def _whole_power(base: Tensor, exponent: int) -> Tensor:
    """base^exponent by repeated squaring, in about 2 log2(exponent) products."""
    if exponent < 0:
        return torch.reciprocal(_whole_power(base, -exponent))
    if exponent == 0:
        return torch.ones_like(base)
    if exponent == 1:
        return base
    half = _whole_power(base, exponent // 2)
    return half * half * base if exponent % 2 else half * half


@decomposition(*functions_named("__rpow__"))
def power_of(exponent: Tensor, base: Tensor | float) -> Tensor:
    """base^exponent, with the arguments swapped."""
    return torch.pow(base, exponent)


@decomposition(*functions_named("square"))
def square(x: Tensor) -> Tensor:
    """x²."""
    return x * x


@decomposition(*functions_named("addcmul"))
def addcmul(x: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    """x + value a b."""
    return x + value * a * b


@decomposition(*functions_named("addcdiv"))
def addcdiv(x: Tensor, a: Tensor, b: Tensor, *, value: float = 1) -> Tensor:
    """x + value a / b."""
    return x + value * a / b


@decomposition(*functions_named("lerp"))
def lerp(start: Tensor, end: Tensor, weight: Tensor | float) -> Tensor:
    """start + weight (end − start)."""
    return start + weight * (end - start)
