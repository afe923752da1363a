"""Torch's elementwise functions that have a recurrence of their own, each with the function that computes it."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from descend.derivatives.series import elementary
from descend.derivatives.series.rules import decomposition, functions_named, primitive
from descend.derivatives.series.series import Series, Variable
from descend.derivatives.series.univariate import Univariate


def _elementwise(function: Univariate, output: int = 0) -> Callable[[Variable, Series], Tensor]:
    def rule(t: Variable, x: Series) -> Tensor:
        return t.series(function(x.coefficients, t.order)[output])

    return rule


primitive(*functions_named("exp"))(_elementwise(elementary.exp))
primitive(*functions_named("expm1"))(_elementwise(elementary.expm1))
primitive(*functions_named("log"))(_elementwise(elementary.log))
primitive(*functions_named("log1p"))(_elementwise(elementary.log1p))
primitive(*functions_named("reciprocal"))(_elementwise(elementary.reciprocal))
primitive(*functions_named("sqrt"))(_elementwise(elementary.power_function(0.5)))
primitive(*functions_named("rsqrt"))(_elementwise(elementary.power_function(-0.5)))
primitive(*functions_named("sin"))(_elementwise(elementary.sin_cos, 0))
primitive(*functions_named("cos"))(_elementwise(elementary.sin_cos, 1))
primitive(*functions_named("tan"))(_elementwise(elementary.tan))
primitive(*functions_named("sinh"))(_elementwise(elementary.sinh_cosh, 0))
primitive(*functions_named("cosh"))(_elementwise(elementary.sinh_cosh, 1))
primitive(*functions_named("tanh"))(_elementwise(elementary.tanh))
primitive(*functions_named("atan", "arctan"))(_elementwise(elementary.atan))
primitive(*functions_named("asin", "arcsin"))(_elementwise(elementary.asin))
primitive(*functions_named("asinh", "arcsinh"))(_elementwise(elementary.asinh))
primitive(*functions_named("acosh", "arccosh"))(_elementwise(elementary.acosh))
primitive(*functions_named("atanh", "arctanh"))(_elementwise(elementary.atanh))
primitive(*functions_named("sigmoid", "expit"))(_elementwise(elementary.sigmoid))
primitive(*functions_named("erf"))(_elementwise(elementary.erf))


@decomposition(*functions_named("acos", "arccos"))
def acos(x: Tensor) -> Tensor:
    """π/2 − asin x."""
    return math.pi / 2 - torch.asin(x)


@decomposition(*functions_named("log2"))
def log2(x: Tensor) -> Tensor:
    """log x / log 2."""
    return torch.log(x) / math.log(2)


@decomposition(*functions_named("log10"))
def log10(x: Tensor) -> Tensor:
    """log x / log 10."""
    return torch.log(x) / math.log(10)


@decomposition(*functions_named("exp2"))
def exp2(x: Tensor) -> Tensor:
    """e^(x log 2)."""
    return torch.exp(x * math.log(2))


@decomposition(*functions_named("logit"))
def logit(x: Tensor, eps: float | None = None) -> Tensor:
    """log x − log(1 − x)."""
    x = x if eps is None else torch.clamp(x, eps, 1 - eps)
    return torch.log(x) - torch.log1p(-x)


@decomposition(*functions_named("hypot"))
def hypot(a: Tensor, b: Tensor) -> Tensor:
    """√(a² + b²)."""
    return torch.sqrt(a * a + b * b)


@decomposition(*functions_named("logaddexp"))
def logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """log(eᵃ + eᵇ) = max(a, b) + log(1 + e^(−|a − b|)), in which no exponent is positive."""
    above = a > b
    return torch.where(above, a, b) + torch.log1p(torch.exp(torch.where(above, b - a, a - b)))


@decomposition(*functions_named("logaddexp2"))
def logaddexp2(a: Tensor, b: Tensor) -> Tensor:
    """log₂(2ᵃ + 2ᵇ)."""
    return logaddexp(math.log(2) * a, math.log(2) * b) / math.log(2)


@primitive(*functions_named("softplus"))
def softplus_rule(t: Variable, x: Series, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + e^(βx)) / β, and x itself where βx > threshold, as in torch."""
    scaled = beta * x
    smooth = t.series(elementary.softplus(t.rows(scaled), t.order)[0]) / beta
    return torch.where(scaled > threshold, x, smooth)
