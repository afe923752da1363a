"""Functions of torch.special, rewritten where torch's own derivatives fail at a point or lose digits.

Near zero a Bessel function or sinc is its power series (Abramowitz & Stegun 9.6.10 and 4.3.65), whose derivatives of
any order are exact there; torch divides by x. The definitions are plain torch code: series and nested differentiation
(`fused.py`) both use them.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from descend.derivatives.series import elementary
from descend.derivatives.series.activations import logsigmoid, mish
from descend.derivatives.series.elementwise import logaddexp, logaddexp2
from descend.derivatives.series.fallback import differentiate_nested
from descend.derivatives.series.fused import FROM_THE_SECOND
from descend.derivatives.series.rules import decomposition, functions_named, primitive
from descend.derivatives.series.series import Series, Variable

Definition = Callable[[Tensor], Tensor]

TERMS = 32
"""Terms of a power series: within its limit the others are below rounding."""
BESSEL_LIMIT, SINC_LIMIT, ERFCX_LIMIT, TAIL_LIMIT = 6.0, 1.0, 1.5, -1.0
FRACTIONS = 300
"""Steps of the continued fraction of erfcx: at 1.5 the rest, and its first ten derivatives, are below rounding."""


def _near_or_far(x: Tensor, limit: float, near: Definition, far: Definition) -> Tensor:
    """near(x) where |x| < limit, else far(x); neither is called with the other's arguments."""
    inside = torch.abs(x) < limit
    return torch.where(inside, near(torch.where(inside, x, 0.0)), far(torch.where(inside, 2 * limit, x)))


def _polynomial(z: Tensor, coefficients: Sequence[float]) -> Tensor:
    value = coefficients[-1] * torch.ones_like(z)
    for coefficient in reversed(coefficients[:-1]):
        value = value * z + coefficient
    return value


_I0 = [1 / math.factorial(m) ** 2 for m in range(TERMS)]
_I1 = [1 / (math.factorial(m) * math.factorial(m + 1)) for m in range(TERMS)]
_SINC = [(-1) ** m / math.factorial(2 * m + 1) for m in range(TERMS)]


def i0(x: Tensor, far: Definition = torch.special.i0) -> Tensor:
    """Σ (x²/4)^m / m!², the modified Bessel function of order 0."""
    return _near_or_far(x, BESSEL_LIMIT, lambda x: _polynomial(x * x / 4, _I0), far)


def i1(x: Tensor, far: Definition = torch.special.i1) -> Tensor:
    """(x/2) Σ (x²/4)^m / (m! (m + 1)!), the modified Bessel function of order 1."""
    return _near_or_far(x, BESSEL_LIMIT, lambda x: x / 2 * _polynomial(x * x / 4, _I1), far)


def i0e(x: Tensor, far: Definition = torch.special.i0e) -> Tensor:
    """e^(−|x|) i0(x)."""
    return _near_or_far(x, BESSEL_LIMIT, lambda x: torch.exp(-torch.abs(x)) * _polynomial(x * x / 4, _I0), far)


def i1e(x: Tensor, far: Definition = torch.special.i1e) -> Tensor:
    """e^(−|x|) i1(x)."""
    return _near_or_far(x, BESSEL_LIMIT, lambda x: torch.exp(-torch.abs(x)) * x / 2 * _polynomial(x * x / 4, _I1), far)


@decomposition(*functions_named("sinc"))
def sinc(x: Tensor) -> Tensor:
    """sin(πx) / (πx)."""

    def near(x: Tensor) -> Tensor:
        return _polynomial((math.pi * x) ** 2, _SINC)

    return _near_or_far(x, SINC_LIMIT, near, lambda x: torch.sin(math.pi * x) / (math.pi * x))


@decomposition(*functions_named("erfcx"))
def erfcx(x: Tensor) -> Tensor:
    """e^(x²) erfc x; from 1.5 on a continued fraction (Abramowitz & Stegun 7.1.14), in which nothing cancels."""

    def near(x: Tensor) -> Tensor:
        return torch.exp(x * x) * torch.erfc(x)

    def far(x: Tensor) -> Tensor:
        rest = x
        for n in range(FRACTIONS, 0, -1):
            rest = x + n / 2 / rest
        return 1 / (math.sqrt(math.pi) * rest)

    above = x > ERFCX_LIMIT
    return torch.where(above, far(torch.where(above, x, 2.0)), near(torch.where(above, 0.0, x)))


def _torchs_far_from_zero(own: Callable, definition: Callable[..., Tensor]) -> Callable[[Variable, Series], Tensor]:
    def rule(t: Variable, x: Series) -> Tensor:
        return definition(x, lambda x: differentiate_nested(t, own, (x,), {}))

    return rule


for name, definition in (("i0", i0), ("i1", i1), ("i0e", i0e), ("i1e", i1e)):
    own = getattr(torch.special, name)
    for function in functions_named(name):
        primitive(function)(_torchs_far_from_zero(own, definition))
        FROM_THE_SECOND[function] = partial(definition, far=own)


@primitive(*functions_named("erfc"))
def erfc_rule(t: Variable, x: Series) -> Tensor:
    """1 − erf x; its value is torch's, in which nothing cancels."""
    return t.series(elementary.erfc(x.coefficients, t.order)[0])


@decomposition(*functions_named("logcumsumexp"))
def logcumsumexp(x: Tensor, dim: int) -> Tensor:
    """log Σ e^x of all entries so far along an axis, in log2(n) steps, each of which looks twice as far back."""
    if x.dim() == 0:
        return x
    x, back = x.movedim(dim, 0), 1
    while back < x.shape[0]:
        x = torch.cat([x[:back], logaddexp(x[back:], x[:-back])])
        back *= 2
    return x.movedim(0, dim)


@decomposition(*functions_named("log_ndtr"))
def log_ndtr(x: Tensor) -> Tensor:
    """log Φ(x); below −1 as −x²/2 + log(erfcx(−x/√2) / 2), in which nothing cancels."""

    def tail(x: Tensor) -> Tensor:
        return torch.log(0.5 * erfcx(-math.sqrt(0.5) * x)) - 0.5 * x * x

    def body(x: Tensor) -> Tensor:
        return torch.log1p(-0.5 * torch.erfc(math.sqrt(0.5) * x))

    below = x < TAIL_LIMIT
    return torch.where(below, tail(torch.where(below, x, TAIL_LIMIT)), body(torch.where(below, TAIL_LIMIT, x)))


for definition in (sinc, erfcx, logcumsumexp, log_ndtr, logaddexp, logaddexp2, logsigmoid, mish):
    FROM_THE_SECOND.update(dict.fromkeys(functions_named(definition.__name__), definition))
