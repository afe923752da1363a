"""Products of truncated series, c_k = Σ_j a_j b_{k−j} (Griewank & Walther, Evaluating Derivatives, Table 13.1).

The adjoint of a product is a correlation, and the adjoint of a correlation is made of both again. Written as a pair of
autograd functions, a backward pass costs two such sums; autograd by itself would unroll every term.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from descend.derivatives.series.accumulate import may_write, sum_of_products
from descend.derivatives.series.recorded import applied, differentiated


def convolve(a: Tensor, b: Tensor, order: int) -> Tensor:
    """The product of two series, rows beyond `order` left out.

    Args:
        a: [m, *shape], x_k in row k; missing rows are zero.
        b: [n, *shape], of the same shape and dtype.

    Returns:
        [min(m + n − 1, order + 1), *shape].
    """
    return applied(_Convolution, a, b, order) if differentiated(a, b) else _convolution(a, b, order)


def correlate(g: Tensor, w: Tensor, count: int) -> Tensor:
    """The adjoint of `convolve(·, w)`: row j is Σ_k g_k w_{k−j}, j < `count` ≤ len(g). [count, *shape]."""
    return applied(_Correlation, g, w, count) if differentiated(g, w) else _correlation(g, w, count)


def _convolution(a: Tensor, b: Tensor, order: int) -> Tensor:
    count = min(a.shape[0] + b.shape[0] - 1, order + 1)
    if not may_write():
        first, second = a.unbind(0), b.unbind(0)
        rows = [
            [(1, first[j], second[k - j]) for j in range(len(first)) if 0 <= k - j < len(second)] for k in range(count)
        ]
        return torch.stack([sum_of_products(row) for row in rows])
    if a.shape[0] > b.shape[0]:
        a, b = b, a
    out = _with_zeros(a[0] * b[:count], count)
    for j in range(1, min(a.shape[0], count)):
        n = min(b.shape[0], count - j)
        out[j : j + n].addcmul_(a[j], b[:n])
    return out


def _correlation(g: Tensor, w: Tensor, count: int) -> Tensor:
    if not may_write():
        first, second = g.unbind(0), w.unbind(0)
        rows = [[(1, first[j + m], second[m]) for m in range(min(len(second), len(first) - j))] for j in range(count)]
        return torch.stack([sum_of_products(row) for row in rows])
    out = w[0] * g[:count]
    for m in range(1, min(w.shape[0], g.shape[0])):
        n = min(count, g.shape[0] - m)
        out[:n].addcmul_(w[m], g[m : m + n])
    return out


def _with_zeros(rows: Tensor, count: int) -> Tensor:
    missing = count - rows.shape[0]
    return torch.cat([rows, torch.zeros_like(rows[:1]).expand(missing, *rows.shape[1:])]) if missing else rows


class _Convolution(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor, order: int) -> Tensor:
        return _convolution(a, b, order)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        a, b, ctx.order = inputs
        ctx.save_for_backward(a, b)
        ctx.save_for_forward(a, b)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        a, b = ctx.saved_tensors
        needs_a, needs_b, _ = ctx.needs_input_grad
        return (
            correlate(gradient, b, a.shape[0]) if needs_a else None,
            correlate(gradient, a, b.shape[0]) if needs_b else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, a_tangent: Tensor | None, b_tangent: Tensor | None, _: None) -> Tensor:
        a, b = ctx.saved_tensors
        terms = [convolve(a_tangent, b, ctx.order)] if a_tangent is not None else []
        terms += [convolve(a, b_tangent, ctx.order)] if b_tangent is not None else []
        return sum(terms[1:], terms[0])


class _Correlation(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(g: Tensor, w: Tensor, count: int) -> Tensor:
        return _correlation(g, w, count)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, int], output: Tensor) -> None:
        g, w, ctx.count = inputs
        ctx.save_for_backward(g, w)
        ctx.save_for_forward(g, w)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        g, w = ctx.saved_tensors
        needs_g, needs_w, _ = ctx.needs_input_grad
        return (
            _with_zeros(convolve(gradient, w, g.shape[0] - 1), g.shape[0]) if needs_g else None,
            correlate(g, gradient, w.shape[0]) if needs_w else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, g_tangent: Tensor | None, w_tangent: Tensor | None, _: None) -> Tensor:
        g, w = ctx.saved_tensors
        terms = [correlate(g_tangent, w, ctx.count)] if g_tangent is not None else []
        terms += [correlate(g, w_tangent, ctx.count)] if w_tangent is not None else []
        return sum(terms[1:], terms[0])
