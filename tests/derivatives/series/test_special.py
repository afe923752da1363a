"""Functions whose own derivatives torch has wrong or NaN at a point: held to mpmath, or to what is known by hand."""

import functools
import math
from collections.abc import Callable

import mpmath
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives import derivative, derivative_tensor, hessian, taylor
from descend.derivatives.series import expand
from descend.derivatives.series.rules import DECOMPOSITIONS, PRIMITIVES
from descend.errors import ConfigurationError

X = torch.tensor([0.3, -0.7, 1.1], dtype=torch.float64)
ONE = torch.ones_like(X)

FUNCTIONS = {
    "i0": (torch.special.i0, lambda x: mpmath.besseli(0, x), (0.0, 1e-3, -2.5, 5.9, 6.1, 20.0)),
    "i1": (torch.special.i1, lambda x: mpmath.besseli(1, x), (0.0, 1e-3, -2.5, 5.9, 6.1, 20.0)),
    "i0e": (torch.special.i0e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(0, x), (1e-3, -2.5, 5.9, 6.1, 20.0)),
    "i1e": (torch.special.i1e, lambda x: mpmath.exp(-abs(x)) * mpmath.besseli(1, x), (1e-3, -2.5, 5.9, 6.1, 20.0)),
    "sinc": (torch.sinc, mpmath.sincpi, (0.0, 1e-5, 1e-3, 0.01, 0.99, 1.01, -3.7)),
    "erfcx": (torch.special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), (-2.0, 0.0, 1.49, 1.51, 30.0, 1e4)),
    "erfc": (torch.special.erfc, mpmath.erfc, (-1.0, 0.5, 5.0)),
}


ORDERS = [2, 3, 5, 7]


@functools.cache
def coefficients(name: str) -> list[list[mpmath.mpf]]:
    """Mpmath's Taylor coefficients at each of a function's points, up to the highest order that is asked for."""
    _, exact, points = FUNCTIONS[name]
    with mpmath.workdps(60):
        return [mpmath.taylor(exact, mpmath.mpf(x), max(ORDERS)) for x in points]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_order_is_mpmaths(name: str, order: int) -> None:
    function, _, points = FUNCTIONS[name]
    expected = [float(row[order] * math.factorial(order)) for row in coefficients(name)]
    found = derivative(function, order)(torch.tensor(points, dtype=torch.float64)).detach()
    rtol = 1e-8 if name in ("i0", "i1", "i0e", "i1e") else 1e-11  # beyond 6 by torch's own formulas
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=rtol, atol=1e-13)


def _sigma(x: mpmath.mpf) -> mpmath.mpf:
    return 1 / (1 + mpmath.exp(-x))


def _pair(x: Tensor) -> Tensor:
    return torch.stack([x, -x])


FAR_OUT = {
    "logsigmoid": (F.logsigmoid, lambda x: mpmath.log(_sigma(x)), 1e-300),
    "logaddexp": (lambda x: torch.logaddexp(x, 1 - x), lambda x: mpmath.log(mpmath.exp(x) + mpmath.exp(1 - x)), 1e-300),
    "logaddexp2": (lambda x: torch.logaddexp2(x, -x), lambda x: mpmath.log(2**x + 2**-x, 2), 1e-300),
    "logcumsumexp": (lambda x: torch.logcumsumexp(_pair(x), 0)[1], lambda x: mpmath.log(2 * mpmath.cosh(x)), 1e-300),
    "log_ndtr": (torch.special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), 1e-15),
    "mish": (F.mish, lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))), 1e-15),
}


@pytest.mark.parametrize("name", FAR_OUT)
def test_second_derivatives_far_out_are_mpmaths(name: str) -> None:
    """Torch gives 0 or NaN for some: what it divides by, or multiplies with, is rounded to infinity or to 1."""
    function, exact, small = FAR_OUT[name]
    points = [-800.0, -40.0, -1.1, -0.9, 0.0, 0.3, 40.0, 100.0, 800.0]
    with mpmath.workdps(400):
        expected = [float(mpmath.taylor(exact, mpmath.mpf(x), 2)[2] * 2) for x in points]
    x = torch.tensor(points, dtype=torch.float64)
    found = {
        "Hessian": hessian(lambda p: function(p["x"]).sum(), {"x": x}).diagonal(),
        "Taylor": expand(function, x, torch.ones_like(x), 2)[2] * 2,
        "nested": derivative(function, 2)(x).detach(),
    }
    for values in found.values():
        torch.testing.assert_close(values, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=small)
    single = hessian(lambda p: function(p["x"]).sum(), {"x": x.float()}).diagonal()
    torch.testing.assert_close(single.double(), torch.tensor(expected, dtype=torch.float64), rtol=1e-3, atol=1e-6)


def test_mish_in_place_still_writes() -> None:
    """The definition that stands in for it does not, so that torch's own is called."""

    def loss(params: dict[str, Tensor]) -> Tensor:
        y = 1.0 * params["x"]
        F.mish(y, inplace=True)
        return y.square().sum()

    apart = hessian(lambda p: F.mish(p["x"]).square().sum(), {"x": X})
    torch.testing.assert_close(hessian(loss, {"x": X}), apart)


@pytest.mark.parametrize(
    "function", [torch.special.i0e, torch.lgamma, torch.digamma, lambda x: torch.atan2(x, torch.ones_like(x))]
)
def test_rounding_in_float32_is_no_reason_to_refuse(function: Callable[[Tensor], Tensor]) -> None:
    x = torch.tensor([30.0, 40.0, 100.0])
    single, double = (
        expand(function, x.to(dtype), torch.ones(3, dtype=dtype), 3) for dtype in (x.dtype, torch.float64)
    )
    torch.testing.assert_close(single[:3].double(), double[:3], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("point", [1e4, 1e7])
def test_arguments_too_coarse_to_move_are_no_reason_to_refuse(point: float) -> None:
    """At 1e7 the neighbours in float32 are 1 apart: nearer values are all the same, but the derivative is not zero."""
    found = expand(lambda x: torch.fmod(x, 7.3), torch.tensor([point]), torch.ones(1), 2)
    assert found[1:].tolist() == [[1.0], [0.0]]


def test_logcumsumexp_is_that_of_single_sums() -> None:
    rows = expand(lambda x: torch.logcumsumexp(torch.sin(x), 0), X, ONE, 4)
    sums = expand(lambda x: torch.stack([torch.sin(x)[: i + 1].logsumexp(0) for i in range(3)]), X, ONE, 4)
    torch.testing.assert_close(rows, sums)


def test_a_power_with_constant_exponents_is_a_polynomial_at_zero() -> None:
    zero, exponent = torch.zeros(3, dtype=torch.float64), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    rows = expand(lambda x: torch.pow(x, exponent), zero, ONE, 4)
    assert rows.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert expand(lambda x: x ** torch.tensor(2.0), zero, ONE, 3).tolist() == [[0] * 3, [0] * 3, [1] * 3, [0] * 3]


def test_the_modulus_of_complex_numbers() -> None:
    rows = expand(lambda x: torch.fft.rfft(x * x).abs(), X, ONE, 4)

    def by_hand(x: Tensor) -> Tensor:
        y = x * x
        angles = 2 * math.pi * torch.arange(2.0, dtype=x.dtype)[:, None] * torch.arange(3.0, dtype=x.dtype) / 3
        return torch.hypot(torch.cos(angles) @ y, torch.sin(angles) @ y)

    torch.testing.assert_close(rows, expand(by_hand, X, ONE, 4))


def test_a_gradient_penalty_on_the_expanded_parameters_themselves() -> None:
    """Σ (4 x³)² = 16 Σ x⁶, whose coefficients are binomial."""

    def penalty(p: dict[str, Tensor]) -> Tensor:
        return torch.autograd.grad((p["x"] ** 4).sum(), p["x"], create_graph=True)[0].square().sum()

    expected = [16 * math.comb(6, k) * float((X ** (6 - k)).sum()) for k in range(5)]
    assert taylor(penalty, {"x": X}, {"x": ONE}, 4).tolist() == pytest.approx(expected, rel=1e-12)


UNIT = torch.eye(3, dtype=torch.float64)


def test_a_determinant_has_every_derivative_at_equal_singular_values_and_singular_matrices() -> None:
    """det(I + x xᵀ) = 1 + |x|², det(x I) = x³, and det of a matrix of ones times x is zero throughout."""
    torch.testing.assert_close(
        derivative_tensor(lambda p: torch.linalg.det(torch.outer(p["x"], p["x"]) + UNIT), {"x": X}, 3),
        torch.zeros(3, 3, 3, dtype=torch.float64),
        rtol=0,
        atol=1e-12,
    )
    cube = {"x": torch.tensor([0.3], dtype=torch.float64)}
    for x in (cube, {"x": torch.zeros(1, dtype=torch.float64)}):
        assert derivative_tensor(lambda p: torch.linalg.det(p["x"] * UNIT), x, 3).item() == pytest.approx(6)
        assert taylor(lambda p: torch.det(p["x"] * UNIT), x, {"x": ONE[:1]}, 4)[3] == pytest.approx(1)
    rows = taylor(lambda p: torch.linalg.det(p["x"] * torch.ones_like(UNIT)), cube, {"x": ONE[:1]}, 4)
    assert rows.abs().max() < 1e-15


SYSTEMS = {
    "inv": lambda a: torch.linalg.inv(a),
    "solve a vector": lambda a: torch.linalg.solve(a, a[0]),
    "solve a matrix": lambda a: torch.linalg.solve(a, a @ a + 1),
    "solve from the right": lambda a: torch.linalg.solve(a, a[:2], left=False),
    "det": lambda a: torch.linalg.det(a),
    "slogdet": lambda a: torch.linalg.slogdet(a)[1],
    "logdet": lambda a: torch.logdet(a),
}


@pytest.mark.parametrize("size", [3, 6])
@pytest.mark.parametrize("name", SYSTEMS)
def test_linear_algebra_is_its_values(name: str, size: int) -> None:
    """Along A + tB each coefficient is a Cauchy integral over a circle, of values in complex numbers (64 points)."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(size, size, generator=generator, dtype=torch.float64) / 5 + 2 * torch.eye(size).double()
    b = torch.randn(size, size, generator=generator, dtype=torch.float64) / 5
    rows = expand(lambda x: SYSTEMS[name](x), a, b, 4)
    t = 0.5 * torch.exp(2j * math.pi * torch.arange(64, dtype=torch.float64) / 64)
    values = torch.stack([_complex(name, a + each * b) for each in t])
    for k in range(5):
        exact = (values * (t**-k).reshape(-1, *[1] * (values.dim() - 1))).mean(0).real
        torch.testing.assert_close(rows[k], exact, rtol=1e-9, atol=1e-10)


def _complex(name: str, a: Tensor) -> Tensor:
    return torch.log(torch.linalg.det(a)) if "log" in name else SYSTEMS[name](a)


def test_second_derivatives_use_them_too() -> None:
    assert hessian(lambda p: torch.sinc(p["x"]).sum(), {"x": 0 * X}).diagonal().tolist() == pytest.approx(
        [-(math.pi**2) / 3] * 3
    )


def test_what_torch_has_wrong_is_refused_where_there_is_no_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its rule i0 is differentiated by torch, which has the fourth derivative at zero wrong."""
    for function in (torch.special.i0, torch.i0):
        monkeypatch.delitem(PRIMITIVES, function)
    monkeypatch.setattr("descend.derivatives.series.fused.FROM_THE_SECOND", {})
    with pytest.raises(ConfigurationError, match=r"i0 has no Taylor rule, and torch's own derivative of order 4"):
        expand(torch.special.i0, 0 * X, ONE, 4)
    torch.testing.assert_close(expand(torch.special.i0, X, ONE, 3)[1], torch.special.i1(X))


def test_nan_where_the_function_is_smooth_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (DECOMPOSITIONS,):
        monkeypatch.delitem(table, torch.logcumsumexp)
    monkeypatch.setattr("descend.derivatives.series.fused.FROM_THE_SECOND", {})
    with pytest.raises(ConfigurationError, match="logcumsumexp has no Taylor rule"):
        expand(lambda x: torch.logcumsumexp(x, 0), X, ONE, 3)
