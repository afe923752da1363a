"""Recurrences of the elementary functions (Griewank & Walther, Evaluating Derivatives, 2nd ed., Tables 13.2 and 13.3).

Each function obeys a differential equation in x; comparing the coefficients of t^(k−1) gives y_k from those before it,
in about k multiplications, where Faà di Bruno's formula has as many terms as k has partitions.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from descend.derivatives.series.accumulate import sum_of_products
from descend.derivatives.series.convolution import convolve
from descend.derivatives.series.univariate import Coefficients, Univariate, integral_row

Coefficientwise = Callable[[Tensor], Tensor]


def add_constant(x: Tensor, constant: float | Tensor) -> Tensor:
    """The rows [m, *shape] of x(t) + `constant`."""
    return torch.cat([x[:1] + constant, x[1:]])


def _exp(x: Tensor, order: int, shift: float, value: Coefficientwise) -> Coefficients:
    """y' = (y + shift) x', where y + shift is the exponential."""
    xs, first = x.unbind(0), value(x[0])
    y = [first + shift if shift else first]
    for k in range(1, order + 1):
        y.append(integral_row(xs, y, k))
    return (torch.stack([first, *y[1:]]),)


def _log(x: Tensor, order: int, shift: float, value: Coefficientwise) -> Coefficients:
    """(x + shift) y' = x': (x_0 + shift) y_k = x_k − (1/k) Σ_j j y_j x_{k−j}, 0 < j < k."""
    y, xs = [value(x[0])], x.unbind(0)
    base = xs[0] + shift if shift else xs[0]
    for k in range(1, order + 1):
        products = [(-j / k, y[j], xs[k - j]) for j in range(max(1, k - len(xs) + 1), k)]
        terms = [*([sum_of_products(products)] if products else []), *xs[k : k + 1]]
        y.append(sum(terms[1:], terms[0]) / base)
    return (torch.stack(y),)


def _power(x: Tensor, order: int, exponent: float, value: Coefficientwise) -> Coefficients:
    """x y' = p y x': x_0 y_k = Σ_j ((p + 1) j / k − 1) x_j y_{k−j}."""
    y, xs = [value(x[0])], x.unbind(0)
    for k in range(1, order + 1):
        weights = {j: (exponent + 1) * j / k - 1 for j in range(1, min(k, len(xs) - 1) + 1)}
        y.append(sum_of_products((weight, xs[j], y[k - j]) for j, weight in weights.items()) / xs[0])
    return (torch.stack(y),)


def _reciprocal(x: Tensor, order: int) -> Coefficients:
    """x y = 1: x_0 y_k = −Σ_j x_j y_{k−j}."""
    y, xs = [1 / x[0]], x.unbind(0)
    for k in range(1, order + 1):
        y.append(sum_of_products((-1, xs[j], y[k - j]) for j in range(1, min(k, len(xs) - 1) + 1)) * y[0])
    return (torch.stack(y),)


def _rotation(x: Tensor, order: int, sign: int, sine: Coefficientwise, cosine: Coefficientwise) -> Coefficients:
    """s' = c x', c' = ∓ s x': circular for `sign` −1, hyperbolic for +1."""
    s, c, xs = [sine(x[0])], [cosine(x[0])], x.unbind(0)
    for k in range(1, order + 1):
        s_k, c_k = integral_row(xs, c, k), sign * integral_row(xs, s, k)
        s.append(s_k)
        c.append(c_k)
    return torch.stack(s), torch.stack(c)


def _riccati(
    x: Tensor, order: int, linear: float, square: float, value: Coefficientwise, slope: Coefficientwise
) -> Coefficients:
    """y' = w x' with w = constant + linear y + square y²; both y and w."""
    y, xs = [value(x[0])], x.unbind(0)
    w = [slope(y[0])]
    for k in range(1, order + 1):
        y.append(integral_row(xs, w, k))
        # Row k of y²: each pair once, and the middle of an even k.
        terms = [(2 * square, y[j], y[k - j]) for j in range((k + 1) // 2)]
        terms += [(square, y[k // 2], y[k // 2])] if k % 2 == 0 else []
        w_k = sum_of_products(terms)
        w.append(w_k + linear * y[k] if linear else w_k)
    return torch.stack(y), torch.stack(w)


def _integral(x: Tensor, order: int, value: Coefficientwise, slope: Callable[[Tensor, int], Tensor]) -> Coefficients:
    """y' = w x' for a w(x) whose own series is known; both y and w."""
    w = slope(x, order)
    xs, rows = x.unbind(0), w.unbind(0)
    return torch.stack([value(xs[0]), *(integral_row(xs, rows, k) for k in range(1, order + 1))]), w


def power_function(exponent: float) -> Univariate:
    """x^p for a constant p, away from x = 0."""
    p = exponent
    return Univariate(
        partial(_power, exponent=p, value=lambda x: x**p),
        (lambda x, out: p * power_function(p - 1)(x, out[0].shape[0] - 1)[0],),
    )


def _product(a: Tensor, b: Tensor) -> Tensor:
    return convolve(a, b, max(a.shape[0], b.shape[0]) - 1)


def _gaussian(x: Tensor, order: int) -> Tensor:
    return 2 / math.sqrt(math.pi) * exp(-convolve(x, x, order), order)[0]


def _inverse(value: Coefficientwise, constant: float, sign: int, exponent: float) -> Univariate:
    """The function with slope w = (constant + sign x²)^exponent, for which w' = 2 sign exponent x w / (…)."""

    def slope(x: Tensor, order: int) -> Tensor:
        return power_function(exponent)(add_constant(sign * convolve(x, x, order), constant), order)[0]

    def curvature(x: Tensor, out: Coefficients) -> Tensor:
        order = out[1].shape[0] - 1
        inner = add_constant(sign * convolve(x, x, order), constant)
        return 2 * sign * exponent * _product(_product(out[1], x), reciprocal(inner, order)[0])

    return Univariate(partial(_integral, value=value, slope=slope), (lambda x, out: out[1], curvature))


exp = Univariate(partial(_exp, shift=0, value=torch.exp), (lambda x, out: out[0],))
expm1 = Univariate(partial(_exp, shift=1, value=torch.expm1), (lambda x, out: add_constant(out[0], 1),))
log = Univariate(partial(_log, shift=0, value=torch.log), (lambda x, out: reciprocal(x, out[0].shape[0] - 1)[0],))
log1p = Univariate(
    partial(_log, shift=1, value=torch.log1p),
    (lambda x, out: reciprocal(add_constant(x, 1), out[0].shape[0] - 1)[0],),
)
reciprocal: Univariate = Univariate(_reciprocal, (lambda x, out: -_product(out[0], out[0]),))
sin_cos = Univariate(
    partial(_rotation, sign=-1, sine=torch.sin, cosine=torch.cos),
    (lambda x, out: out[1], lambda x, out: -out[0]),
)
sinh_cosh = Univariate(
    partial(_rotation, sign=1, sine=torch.sinh, cosine=torch.cosh),
    (lambda x, out: out[1], lambda x, out: out[0]),
)
tan = Univariate(
    partial(_riccati, linear=0, square=1, value=torch.tan, slope=lambda y: 1 + y * y),
    (lambda x, out: out[1], lambda x, out: 2 * _product(out[0], out[1])),
)
tanh = Univariate(
    partial(_riccati, linear=0, square=-1, value=torch.tanh, slope=lambda y: 1 - y * y),
    (lambda x, out: out[1], lambda x, out: -2 * _product(out[0], out[1])),
)
sigmoid = Univariate(
    partial(_riccati, linear=1, square=-1, value=torch.sigmoid, slope=lambda y: y * (1 - y)),
    (lambda x, out: out[1], lambda x, out: out[1] - 2 * _product(out[0], out[1])),
)
softplus = Univariate(
    partial(
        _integral, value=lambda x: torch.logaddexp(x, torch.zeros_like(x)), slope=lambda x, order: sigmoid(x, order)[0]
    ),
    (lambda x, out: out[1], lambda x, out: out[1] - _product(out[1], out[1])),
)
erf = Univariate(
    partial(_integral, value=torch.erf, slope=_gaussian),
    (lambda x, out: out[1], lambda x, out: -2 * _product(x, out[1])),
)
erfc = Univariate(
    partial(_integral, value=torch.erfc, slope=lambda x, order: -_gaussian(x, order)),
    (lambda x, out: out[1], lambda x, out: -2 * _product(x, out[1])),
)
atan = _inverse(torch.atan, 1, 1, -1)
atanh = _inverse(torch.atanh, 1, -1, -1)
asin = _inverse(torch.asin, 1, -1, -0.5)
asinh = _inverse(torch.asinh, 1, 1, -0.5)
acosh = _inverse(torch.acosh, -1, 1, -0.5)
