"""Laws every truncated series obeys, at drawn coefficients."""

import math
from collections.abc import Callable

import hypothesis.strategies as st
import torch
from hypothesis import given, settings
from torch import Tensor

from descend.derivatives.series import expand

ORDER = 6
numbers = st.floats(-1.5, 1.5, allow_subnormal=False)
polynomials = st.lists(numbers, min_size=2, max_size=ORDER + 1)
few = settings(max_examples=40, deadline=None)


def polynomial(coefficients: list[float], x: Tensor) -> Tensor:
    value = torch.zeros_like(x)
    for c in reversed(coefficients):
        value = value * x + c
    return value


def rows(function: Callable[[Tensor], Tensor], at: float = 0.3) -> Tensor:
    x = torch.tensor(at, dtype=torch.float64)
    return expand(function, x, torch.ones_like(x), ORDER)


def close(a: Tensor, b: Tensor) -> None:
    assert (a - b).abs().max() <= 1e-12 * (1 + b.abs().max())


@few
@given(polynomials, numbers)
def test_a_polynomial_moved_has_binomial_coefficients(p: list[float], at: float) -> None:
    exact = [sum(math.comb(j, k) * c * at ** (j - k) for j, c in enumerate(p) if j >= k) for k in range(ORDER + 1)]
    close(rows(lambda x: polynomial(p, x), at), torch.tensor(exact, dtype=torch.float64))


@few
@given(polynomials, polynomials)
def test_leibniz(p: list[float], q: list[float]) -> None:
    f, g = (lambda x: torch.tanh(polynomial(p, x))), (lambda x: torch.sin(polynomial(q, x)))
    a, b = rows(f), rows(g)
    exact = torch.stack([(a[: k + 1] * b[: k + 1].flip(0)).sum() for k in range(ORDER + 1)])
    close(rows(lambda x: f(x) * g(x)), exact)


@few
@given(polynomials, polynomials, numbers, numbers)
def test_linearity(p: list[float], q: list[float], a: float, b: float) -> None:
    f, g = (lambda x: torch.exp(polynomial(p, x) / 4)), (lambda x: torch.cos(polynomial(q, x)))
    close(rows(lambda x: a * f(x) - b * g(x)), a * rows(f) - b * rows(g))


@few
@given(polynomials)
def test_faa_di_bruno(p: list[float]) -> None:
    inner = rows(lambda x: polynomial(p, x))
    outer = rows(torch.tanh, inner[0].item())
    # Σ_n outer_n (inner − inner_0)ⁿ, each power a truncated product of the one before.
    exact, power = torch.zeros(ORDER + 1, dtype=torch.float64), torch.eye(1, ORDER + 1, dtype=torch.float64)[0]
    shifted = inner.clone()
    shifted[0] = 0
    for n in range(ORDER + 1):
        exact = exact + outer[n] * power
        power = torch.stack([(power[: k + 1] * shifted[: k + 1].flip(0)).sum() for k in range(ORDER + 1)])
    close(rows(lambda x: torch.tanh(polynomial(p, x))), exact)


@few
@given(polynomials)
def test_inverse_pairs_give_back_the_argument(p: list[float]) -> None:
    f = lambda x: polynomial(p, x) / 8  # noqa: E731
    argument = rows(f)

    def after(pair: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda x: pair(f(x))

    for pair in (
        lambda x: torch.log(torch.exp(x)),
        lambda x: torch.atanh(torch.tanh(x)),
        lambda x: torch.asinh(torch.sinh(x)),
        lambda x: torch.atan(torch.tan(x)) if abs(argument[0]) < 1.5 else x,
        lambda x: torch.sqrt((x + 3) ** 2) - 3 if argument[0] > -2 else x,
        lambda x: 1 / (1 / (x + 9)) - 9,
        lambda x: x + torch.sin(x) ** 2 + torch.cos(x) ** 2 - 1,
        lambda x: torch.softmax(torch.stack([x, -x]), 0).sum() * x,
    ):
        close(rows(after(pair)), argument)


@few
@given(polynomials, st.integers(1, ORDER))
def test_a_lower_order_is_the_beginning_of_a_higher(p: list[float], order: int) -> None:
    x = torch.tensor(0.3, dtype=torch.float64)
    f = lambda x: torch.erf(polynomial(p, x)) / (2 + torch.cos(x))  # noqa: E731
    close(expand(f, x, torch.ones_like(x), order), rows(f)[: order + 1])
