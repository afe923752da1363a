"""Directional Taylor coefficients of objectives."""

import math

import pytest
import torch
from torch import Tensor

from descend.derivatives import hessian, taylor
from descend.derivatives.directional import nested_taylor, series_taylor
from descend.errors import ConfigurationError
from descend.types import Params


def point(seed: int) -> Params:
    generator = torch.Generator().manual_seed(seed)
    return {
        "w": torch.randn(4, 3, dtype=torch.float64, generator=generator),
        "b": torch.randn(4, dtype=torch.float64, generator=generator),
    }


def loss(p: Params) -> Tensor:
    x = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)
    return torch.logsumexp(torch.tanh(x @ p["w"].T + p["b"]), 1).mean() + (p["w"] ** 3).sum()


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_routes_agree(order: int) -> None:
    nested, series = (route(loss, point(0), point(1), order) for route in (nested_taylor, series_taylor))
    assert series.shape == (order + 1,)
    torch.testing.assert_close(series, nested, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(taylor(loss, point(0), point(1), order), nested, rtol=1e-12, atol=1e-12)


def test_second_coefficient_is_half_the_curvature() -> None:
    d = torch.cat([value.reshape(-1) for value in point(1).values()])
    torch.testing.assert_close(taylor(loss, point(0), point(1), 4)[2], d @ hessian(loss, point(0)) @ d / 2)


def test_exponential_along_a_line() -> None:
    params, direction = {"x": torch.tensor([0.3, 0.2])}, {"x": torch.tensor([1.0, 2.0])}
    value = taylor(lambda p: torch.exp(p["x"].sum()), params, direction, 6)
    exact = torch.tensor([math.exp(0.5) * 3**k / math.factorial(k) for k in range(7)])
    torch.testing.assert_close(value, exact)


def test_the_sum_predicts_the_change() -> None:
    step = {name: 0.05 * value for name, value in point(1).items()}
    moved = loss({name: value + step[name] for name, value in point(0).items()})
    coefficients = taylor(loss, point(0), step, 6)
    errors = [(coefficients[: k + 1].sum() - moved).abs().item() for k in range(7)]
    assert errors[0] > errors[1] > errors[2] > errors[3] > 1e-8
    assert errors[6] < 1e-9


def test_a_loss_that_differentiates_a_network() -> None:
    def residual(p: Params) -> Tensor:
        x = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None].expand(6, 3).clone().requires_grad_()
        u = torch.tanh(x @ p["w"].T + p["b"]).sum(1)
        (slope,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(slope[:, 0].sum(), x, create_graph=True)
        return ((second[:, 0] + u) ** 2).mean()

    nested, series = (route(residual, point(0), point(1), 4) for route in (nested_taylor, series_taylor))
    torch.testing.assert_close(series, nested, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("order", [0, 2, 5])
def test_results_are_detached_and_parameters_untouched(order: int) -> None:
    params = {name: value.requires_grad_() for name, value in point(0).items()}
    before = {name: value.clone() for name, value in params.items()}
    assert not taylor(loss, params, point(1), order).requires_grad
    assert all(torch.equal(params[name], before[name]) and params[name].grad is None for name in params)


def test_wrong_input_is_refused_in_sentences() -> None:
    with pytest.raises(ConfigurationError, match="order -1"):
        taylor(loss, point(0), point(1), -1)
    for order in (1, 4):
        with pytest.raises(ConfigurationError, match=r"shape \[4, 3\]"):
            taylor(lambda p: p["w"], point(0), point(1), order)
