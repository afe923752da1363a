"""Functions linear in each of several tensors: matrix products, convolutions, einsum.

With one series among the arguments they are linear. With several, one is taken coefficient by coefficient as a
constant: (Σ_j A_j t^j) · B(t) = Σ_j t^j (A_j · B(t)). The series with fewest coefficients is taken first, so that
parameters p + t d, which have two, cost two products whatever the order.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series.rules import decomposition, functions_named, primitive
from descend.derivatives.series.series import Variable

RowsByOrder = dict[int, Tensor]
"""The coefficients of those arguments that are series, by position."""

LinearMap = Callable[[list[Any], int, Tensor], Tensor]
"""(arguments, position, rows [m, …]) -> the function of each row put at that position, [m, …]."""


def product_rows(apply: LinearMap, args: list[Any], series: RowsByOrder, order: int) -> Tensor:
    """Coefficients up to `order` of a function linear in each argument that `series` holds."""
    if len(series) == 1:
        ((position, rows),) = series.items()
        return apply(args, position, rows[: order + 1] if rows.shape[0] > order + 1 else rows)
    position = min(series, key=lambda i: series[i].shape[0])
    others = {i: rows for i, rows in series.items() if i != position}

    def term(j: int, row: Tensor) -> Tensor:
        return product_rows(apply, [*args[:position], row, *args[position + 1 :]], others, order - j)

    first, *rest = series[position][: order + 1].unbind(0)
    total = term(0, first)
    for j, row in enumerate(rest, start=1):
        total = _add_shifted(total, term(j, row), j)
    return total


def _add_shifted(total: Tensor, term: Tensor, j: int) -> Tensor:
    """total + t^j term."""
    overlap = total.shape[0] - j
    return torch.cat([total[:j], total[j:] + term[:overlap], term[overlap:]])


def row_by_row(func: Callable) -> LinearMap:
    """The map that calls `func` once for each row."""

    def apply(args: list[Any], position: int, rows: Tensor) -> Tensor:
        return torch.stack([func(*args[:position], row, *args[position + 1 :]) for row in rows.unbind(0)])

    return apply


def _matmul(args: list[Any], position: int, rows: Tensor) -> Tensor:
    """All rows in one product wherever matmul's own broadcasting means the same."""
    constant, dimensions = args[1 - position], rows.dim() - 1
    if constant.dim() > 2 and constant.dim() != dimensions:
        return row_by_row(torch.matmul)(args, position, rows)
    if position == 0:
        return torch.matmul(rows, constant)
    if dimensions == 1:
        return torch.matmul(rows, constant if constant.dim() == 1 else constant.mT)
    return torch.matmul(constant, rows)


@primitive(*functions_named("matmul", "mm", "bmm", "mv", "dot", "__matmul__"))
def matmul(t: Variable, a: Tensor, other: Tensor) -> Tensor:
    """Matrix product of two arguments of which at least one is a series."""
    series = {i: x.coefficients for i, x in enumerate((a, other)) if t.owns(x)}
    return t.series(product_rows(_matmul, [a, other], series, t.order))


@decomposition(*functions_named("__rmatmul__"))
def matmul_reversed(a: Tensor, other: Tensor) -> Tensor:
    """other @ a."""
    return torch.matmul(other, a)


@primitive(*functions_named("linear"))
def linear(t: Variable, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x Wᵀ + b."""
    if t.owns(weight):
        product = torch.matmul(x, weight.mT if weight.dim() > 1 else weight)
    else:
        product = t.series(F.linear(x.coefficients, weight)) if t.owns(x) else F.linear(x, weight)
    return product if bias is None else product + bias


@decomposition(*functions_named("addmm", "baddbmm", "addmv"))
def add_product(x: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta x + alpha a b."""
    return beta * x + alpha * torch.matmul(a, b)


@primitive(*functions_named("einsum"))
def einsum(t: Variable, equation: str, *operands: Any) -> Tensor:
    """Any contraction, of any number of operands."""
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], tuple | list) else operands
    return _multilinear(t, lambda *tensors: torch.einsum(equation, *tensors), given)


def _multilinear(t: Variable, func: Callable, tensors: Sequence[Any]) -> Tensor:
    series = {i: x.coefficients for i, x in enumerate(tensors) if t.owns(x)}
    return t.series(product_rows(row_by_row(func), list(tensors), series, t.order))


def _linear_in_each(func: Callable, count: int) -> Callable[..., Tensor]:
    def rule(t: Variable, *args: Any, **kwargs: Any) -> Tensor:
        return _multilinear(t, lambda *tensors: func(*tensors, *args[count:], **kwargs), args[:count])

    return rule


_BILINEAR = ("tensordot", "inner", "outer", "ger", "kron", "vdot", "cross", "vecdot", "convolve")

for function in (*functions_named(*_BILINEAR), torch.linalg.cross, torch.linalg.vecdot):
    primitive(function)(_linear_in_each(function, 2))


def _convolution(func: Callable, axes: int) -> Callable[..., Tensor]:
    def rule(t: Variable, x: Tensor, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Tensor:
        def unbiased(x: Tensor, weight: Tensor) -> Tensor:
            return func(x, weight, None, *args, **kwargs)

        def apply(tensors: list[Any], position: int, rows: Tensor) -> Tensor:
            if position == 1 or rows.dim() != axes + 3:
                return row_by_row(unbiased)(tensors, position, rows)
            return unbiased(rows.flatten(0, 1), tensors[1]).unflatten(0, rows.shape[:2])

        series = {i: each.coefficients for i, each in enumerate((x, weight)) if t.owns(each)}
        product = t.series(product_rows(apply, [x, weight], series, t.order)) if series else unbiased(x, weight)
        return product if bias is None else product + bias.reshape(-1, *[1] * axes)

    return rule


for axes in (1, 2, 3):
    for function in functions_named(f"conv{axes}d", f"conv_transpose{axes}d"):
        primitive(function)(_convolution(function, axes))
