"""Each elementary function's series against mpmath, order 8, and its backward pass against autograd's own."""

from collections.abc import Callable
from typing import Any

import mpmath
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from descend.derivatives.series import expand

ORDER = 8
POINTS = (-0.83, -0.21, 0.05, 0.4, 0.77)

phi = lambda x: (1 + mpmath.erf(x / mpmath.sqrt(2))) / 2  # noqa: E731
softplus = lambda x: mpmath.log(1 + mpmath.exp(x))  # noqa: E731

FUNCTIONS = {
    "exp": (torch.exp, mpmath.exp),
    "expm1": (torch.expm1, mpmath.expm1),
    "exp2": (torch.exp2, lambda x: mpmath.power(2, x)),
    "log": (lambda x: torch.log(x + 2), lambda x: mpmath.log(x + 2)),
    "log1p": (torch.log1p, lambda x: mpmath.log(1 + x)),
    "log2": (lambda x: torch.log2(x + 2), lambda x: mpmath.log(x + 2, 2)),
    "log10": (lambda x: torch.log10(x + 2), lambda x: mpmath.log10(x + 2)),
    "reciprocal": (lambda x: 1 / (x + 2), lambda x: 1 / (x + 2)),
    "quotient": (lambda x: x / (1 + x * x), lambda x: x / (1 + x * x)),
    "sqrt": (lambda x: torch.sqrt(x + 2), lambda x: mpmath.sqrt(x + 2)),
    "rsqrt": (lambda x: torch.rsqrt(x + 2), lambda x: 1 / mpmath.sqrt(x + 2)),
    "cube": (lambda x: x**3, lambda x: x**3),
    "power": (lambda x: (x + 2) ** 2.7, lambda x: mpmath.power(x + 2, mpmath.mpf(2.7))),
    "inverse power": (lambda x: (x + 2) ** -3, lambda x: (x + 2) ** -3),
    "exponential": (lambda x: 3**x, lambda x: mpmath.power(3, x)),
    "power of series": (lambda x: (x + 2) ** x, lambda x: mpmath.power(x + 2, x)),
    "sin": (torch.sin, mpmath.sin),
    "cos": (torch.cos, mpmath.cos),
    "tan": (torch.tan, mpmath.tan),
    "sinh": (torch.sinh, mpmath.sinh),
    "cosh": (torch.cosh, mpmath.cosh),
    "tanh": (torch.tanh, mpmath.tanh),
    "asin": (torch.asin, mpmath.asin),
    "acos": (torch.acos, mpmath.acos),
    "atan": (torch.atan, mpmath.atan),
    "asinh": (torch.asinh, mpmath.asinh),
    "acosh": (lambda x: torch.acosh(x + 3), lambda x: mpmath.acosh(x + 3)),
    "atanh": (torch.atanh, mpmath.atanh),
    "sigmoid": (torch.sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    "softplus": (F.softplus, softplus),
    "silu": (F.silu, lambda x: x / (1 + mpmath.exp(-x))),
    "erf": (torch.erf, mpmath.erf),
    "erfc": (torch.erfc, mpmath.erfc),
    "gelu": (F.gelu, lambda x: x * phi(x)),
    "logsigmoid": (F.logsigmoid, lambda x: -softplus(-x)),
    "mish": (F.mish, lambda x: x * mpmath.tanh(softplus(x))),
    "logit": (lambda x: torch.logit(x / 4 + 0.5), lambda x: mpmath.log((x / 4 + 0.5) / (0.5 - x / 4))),
    "sinc, without a rule": (lambda x: torch.sinc(x + 2), lambda x: mpmath.sincpi(x + 2)),
    "composition": (
        lambda x: torch.exp(torch.sin(x)) / (1 + x**2),
        lambda x: mpmath.exp(mpmath.sin(x)) / (1 + x**2),
    ),
}


def reference(function: Callable[[Any], Any], points: Tensor, order: int) -> Tensor:
    with mpmath.workdps(60):
        columns = [mpmath.taylor(function, mpmath.mpf(x), order) for x in points.tolist()]
        return torch.tensor([[float(c.real) for c in column] for column in columns], dtype=torch.float64).T


def relative_error(value: Tensor, exact: Tensor) -> float:
    """The greatest over orders of ‖error‖∞ / ‖exact‖∞; orders that vanish count by the first."""
    scale = exact.abs().amax(1, keepdim=True)
    return ((value - exact).abs() / torch.where(scale > 0, scale, scale[0])).max().item()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_coefficients_agree_with_mpmath(name: str) -> None:
    function, exact = FUNCTIONS[name]
    points = torch.tensor(POINTS, dtype=torch.float64)
    coefficients = expand(function, points, torch.ones_like(points), ORDER)
    assert coefficients.dtype == torch.float64
    assert relative_error(coefficients, reference(exact, points, ORDER)) < 1e-13


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus", "power", "composition"])
def test_float32_keeps_its_dtype_and_precision(name: str) -> None:
    function, exact = FUNCTIONS[name]
    points = torch.tensor(POINTS, dtype=torch.float32)
    coefficients = expand(function, points, torch.ones_like(points), ORDER)
    assert coefficients.dtype == torch.float32
    assert relative_error(coefficients.double(), reference(exact, points, ORDER)) < 2e-5


@pytest.mark.parametrize("name", FUNCTIONS)
def test_backward_is_the_derivative_of_every_row(name: str) -> None:
    function, _ = FUNCTIONS[name]
    points = torch.tensor(POINTS[1:4], dtype=torch.float64, requires_grad=True)
    bent = torch.tensor([0.7, -0.4, 1.3], dtype=torch.float64, requires_grad=True)
    order = 2 if "without" in name else 4

    def rows(x: Tensor, d: Tensor) -> Tensor:
        # A short series (two rows) and a full one both pass through the function.
        return torch.stack([expand(function, x, d, order), expand(lambda s: function(s + 0.1 * s**order), x, d, order)])

    torch.autograd.gradcheck(rows, (points, bent), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["exp", "log1p", "power", "sin", "tanh", "sigmoid", "softplus", "erf", "atan", "quotient"]
)
def test_backward_can_be_differentiated_again_and_forward(name: str) -> None:
    function, _ = FUNCTIONS[name]
    points = torch.tensor(POINTS[2:4], dtype=torch.float64, requires_grad=True)

    def rows(x: Tensor) -> Tensor:
        return expand(lambda s: function(s + s * s / 4), x, torch.ones_like(x), 3)

    torch.autograd.gradgradcheck(rows, (points,))
    torch.autograd.gradcheck(rows, (points,), check_forward_ad=True, check_batched_grad=False)


def test_a_pole_of_the_integer_power_is_none() -> None:
    points = torch.zeros(1, dtype=torch.float64)
    coefficients = expand(lambda x: x**3 + (x - 1) ** 2, points, torch.ones_like(points), 5)
    assert coefficients[:, 0].tolist() == [1, -2, 1, 1, 0, 0]
