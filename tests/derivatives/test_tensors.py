"""Full derivative tensors against sympy, Hessians, and their own contraction along a direction."""

import itertools

import pytest
import sympy
import torch
from torch import Tensor

from descend.derivatives import derivative_tensor, gradient, hessian, taylor
from descend.errors import ConfigurationError
from descend.types import Params

POINT = {"a": torch.tensor(0.7, dtype=torch.float64), "b": torch.tensor([[-0.4, 1.2]], dtype=torch.float64)}


def f(p: Params) -> Tensor:
    return torch.sin(p["a"] * p["b"][0, 0]) * p["b"][0, 1] ** 2 + torch.exp(p["a"]) * p["b"][0, 1]


@pytest.mark.parametrize("order", range(5))
def test_every_entry_agrees_with_sympy(order: int) -> None:
    symbols = sympy.symbols("a b c")
    a, b, c = symbols
    formula = sympy.sin(a * b) * c**2 + sympy.exp(a) * c
    at = {a: sympy.Rational(0.7), b: sympy.Rational(-0.4), c: sympy.Rational(1.2)}
    value = derivative_tensor(f, POINT, order)
    assert value.shape == (3,) * order
    for index in itertools.product(range(3), repeat=order):
        derived = formula
        for i in index:
            derived = sympy.diff(derived, symbols[i])
        assert value[index].item() == pytest.approx(float(derived.evalf(30, subs=at)), rel=1e-13, abs=1e-13)


def test_first_and_second_order_are_gradient_and_hessian() -> None:
    flat = torch.cat([value.reshape(-1) for value in gradient(f, POINT).values()])
    torch.testing.assert_close(derivative_tensor(f, POINT, 1), flat)
    torch.testing.assert_close(derivative_tensor(f, POINT, 2), hessian(f, POINT))


@pytest.mark.parametrize("layer", ["layer_norm", "group_norm", "batch_norm"])
def test_contraction_of_a_normalised_network_is_its_taylor_coefficient(layer: str) -> None:
    x = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(4, 3)
    apply = {
        "layer_norm": lambda h, w: torch.nn.functional.layer_norm(h, (3,), w),
        "group_norm": lambda h, w: torch.nn.functional.group_norm(h, 1, w),
        "batch_norm": lambda h, w: torch.nn.functional.batch_norm(h, None, None, w, training=True),
    }[layer]

    def loss(p: Params) -> Tensor:
        return (torch.tanh(apply(torch.sin(x * p["v"]) @ p["m"], p["w"])) ** 3).mean()

    generator = torch.Generator().manual_seed(1)
    params, direction = (
        {name: torch.randn(shape, dtype=torch.float64, generator=generator) for name, shape in shapes}
        for shapes in [(("v", 3), ("m", (3, 3)), ("w", 3))] * 2
    )
    d = torch.cat([value.reshape(-1) for value in direction.values()])
    third = torch.einsum("ijk,i,j,k", derivative_tensor(loss, params, 3), d, d, d) / 6
    torch.testing.assert_close(third, taylor(loss, params, direction, 4)[3], rtol=1e-10, atol=1e-10)


def test_a_linear_function_has_no_curvature() -> None:
    assert derivative_tensor(lambda p: p["b"].sum(), POINT, 3).abs().max() == 0


def test_wrong_input_is_refused_in_sentences() -> None:
    with pytest.raises(ConfigurationError, match="order -2"):
        derivative_tensor(f, POINT, -2)
    large = {"x": torch.zeros(200)}
    with pytest.raises(ConfigurationError, match=r"order 3 in 200 parameters are 8e\+06 numbers.*one direction"):
        derivative_tensor(lambda p: p["x"].sum(), large, 3)
