"""k-th derivatives of pointwise functions: both routes against sympy and each other."""

from collections.abc import Callable
from typing import Any

import mpmath
import pytest
import sympy
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from descend.derivatives import derivative
from descend.derivatives.orders import nested_derivative, taylor_derivative
from descend.errors import ConfigurationError

S = sympy.Symbol("x")
FORMULAS = {
    "rational and oscillating": (
        sympy.sin(3 * S) * sympy.exp(-(S**2) / 2) / (1 + S**2),
        "sin(3*x)*exp(-x**2/2)/(1+x**2)",
    ),
    "logistic": (1 / (1 + sympy.exp(-2 * S)) + sympy.log(S**2 + 2), "sigmoid(2*x)+log(x**2+2)"),
    "composed": (sympy.tanh(sympy.sin(S) + S**3 / 5), "tanh(sin(x)+x**3/5)"),
    "root": (sympy.sqrt(S + 3) * sympy.atan(S) * sympy.cosh(S), "sqrt(x+3)*atan(x)*cosh(x)"),
}
POINTS = torch.tensor([-1.1, -0.3, 0.2, 0.9, 1.4], dtype=torch.float64)


def in_torch(code: str) -> Callable[[Tensor], Tensor]:
    names = {name: getattr(torch, name) for name in ("sin", "exp", "sigmoid", "log", "tanh", "sqrt", "atan", "cosh")}
    return lambda x: eval(code, names | {"x": x})


def exact(formula: sympy.Expr, order: int) -> Tensor:
    function = sympy.lambdify(S, formula, "mpmath")
    with mpmath.workdps(60):
        values = [mpmath.diff(function, mpmath.mpf(x), order) for x in POINTS.tolist()]
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


@pytest.mark.parametrize("order", range(9))
@pytest.mark.parametrize("name", FORMULAS)
def test_derivative_agrees_with_high_precision(name: str, order: int) -> None:
    formula, code = FORMULAS[name]
    reference = exact(formula, order)
    for route in (derivative, taylor_derivative):
        value = route(in_torch(code), order)(POINTS)
        assert (value - reference).abs().max() <= 1e-13 * reference.abs().max()


@pytest.mark.parametrize("order", [1, 3, 4, 5])
@pytest.mark.parametrize("name", FORMULAS)
def test_derivative_agrees_with_sympy(name: str, order: int) -> None:
    formula, code = FORMULAS[name]
    derived = sympy.lambdify(S, sympy.diff(formula, S, order), "mpmath")
    with mpmath.workdps(60):
        reference = torch.tensor([float(derived(mpmath.mpf(x))) for x in POINTS.tolist()], dtype=torch.float64)
    torch.testing.assert_close(derivative(in_torch(code), order)(POINTS), reference, rtol=1e-12, atol=1e-13)


def test_float32_in_float32_out() -> None:
    formula, code = FORMULAS["composed"]
    for order in (2, 6):
        value = derivative(in_torch(code), order)(POINTS.float())
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact(formula, order).float(), rtol=1e-4, atol=1e-3)


def network(normalised: bool = False) -> nn.Sequential:
    torch.manual_seed(3)
    middle = [nn.LayerNorm(12)] if normalised else []
    return nn.Sequential(nn.Linear(1, 12), nn.Tanh(), *middle, nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 1)).double()


@pytest.mark.parametrize("order", [1, 2, 3, 4, 6])
def test_gradient_in_the_parameters_through_the_derivative(order: int) -> None:
    u, x = network(), POINTS[:, None]
    gradients = []
    for route in (nested_derivative, taylor_derivative):
        loss = (route(u, order)(x) ** 2).mean()
        gradients.append(torch.autograd.grad(loss, list(u.parameters()), allow_unused=True, materialize_grads=True))
    for nested, series in zip(*gradients, strict=True):
        torch.testing.assert_close(series, nested, rtol=1e-11, atol=1e-11 * nested.abs().max().item())


def test_hessian_in_the_parameters_through_the_derivative() -> None:
    x = POINTS[:, None]

    def loss(w: Tensor, route: Callable[..., Any]) -> Tensor:
        return (route(lambda s: torch.tanh(F.gelu(s @ w) @ w.T), 4)(x) ** 2).mean()

    w = torch.tensor([[0.4, -0.9, 0.6]], dtype=torch.float64)
    nested, series = (
        torch.autograd.functional.hessian(lambda w, route=route: loss(w, route), w)
        for route in (nested_derivative, taylor_derivative)
    )
    torch.testing.assert_close(series, nested, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("order", [2, 3, 4, 5])
def test_layer_normalisation_is_right_beyond_the_second_order(order: int) -> None:
    u = network(normalised=True)
    first, _, norm, *rest = u
    assert isinstance(norm, nn.LayerNorm)

    def by_hand(x: Tensor) -> Tensor:
        h = torch.tanh(first(x))
        h = (h - h.mean(-1, keepdim=True)) / torch.sqrt(h.var(-1, correction=0, keepdim=True) + norm.eps)
        return nn.Sequential(*rest)(h * norm.weight + norm.bias)

    reference = nested_derivative(by_hand, order)(POINTS[:, None])
    for route in (derivative, nested_derivative, taylor_derivative):
        torch.testing.assert_close(route(u, order)(POINTS[:, None]), reference, rtol=1e-10, atol=1e-10)


def test_torch_itself_has_layer_normalisation_wrong_from_the_third_order() -> None:
    """Should this fail, torch has mended it, and decomposed is needed no more."""
    u, x = network(normalised=True), POINTS[:, None].clone().requires_grad_()
    value = u(x)
    for _ in range(3):
        (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    assert (value - derivative(u, 3)(x)).abs().max() > 1e-3 * value.abs().max()


def test_derivatives_compose() -> None:
    f = in_torch(FORMULAS["composed"][1])
    for outer, inner in ((2, 1), (1, 4), (4, 2), (4, 4)):
        value = derivative(derivative(f, inner), outer)(POINTS)
        torch.testing.assert_close(value, taylor_derivative(f, outer + inner)(POINTS), rtol=1e-8, atol=1e-8)


def test_points_that_carry_a_graph_keep_it() -> None:
    w = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    for order in (2, 5):
        value = derivative(torch.sin, order)(w * POINTS).sum()
        slope = torch.autograd.grad(value, w)[0]
        torch.testing.assert_close(slope, (derivative(torch.sin, order + 1)(w * POINTS) * POINTS).sum())


@pytest.mark.parametrize("order", [1, 3, 6])
def test_no_graph_is_carried_without_grad_mode(order: int) -> None:
    u = network()
    assert derivative(u, order)(POINTS[:, None]).requires_grad
    with torch.no_grad():
        assert not derivative(u, order)(POINTS[:, None]).requires_grad


@pytest.mark.parametrize("order", [1, 2, 3, 4, 7])
def test_functions_whose_derivative_vanishes(order: int) -> None:
    assert derivative(lambda x: torch.full_like(x, 2.0), order)(POINTS).tolist() == [0.0] * 5
    assert derivative(lambda x: x * x - 3, order)(POINTS).tolist() == {
        1: (2 * POINTS).tolist(),
        2: [2.0] * 5,
    }.get(order, [0.0] * 5)


def test_wrong_input_is_refused_in_sentences() -> None:
    with pytest.raises(ConfigurationError, match="order -1"):
        derivative(torch.sin, -1)
    for order in (2, 5):
        with pytest.raises(ConfigurationError, match=r"shape \[\] for points of shape \[5\]"):
            derivative(torch.sum, order)(POINTS)
        with pytest.raises(ConfigurationError, match=r"not implemented|cannot differentiate"):
            derivative(lambda x: torch.cdist(x[:, None], POINTS[:2, None]).sum(1), order)(POINTS)
