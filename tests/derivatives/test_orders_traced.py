"""Derivatives of every order as the engine runs them: traced by make_fx, then batched over runs by vmap."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from traced import graph_of

from descend.derivatives import derivative, derivative_tensor, nested_partials, taylor, taylor_partials
from descend.derivatives.orders import nested_derivative, taylor_derivative
from descend.types import Params

RUNS = 3
POINTS = torch.linspace(-1, 1, 10, dtype=torch.float64).reshape(5, 2)
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "softplus": F.softplus,
    "sin": torch.sin,
    "power": lambda x: (x * x + 1) ** 1.3,
    "quotient": lambda x: torch.log(2 + x * x) / (1 + torch.exp(-x)),
    "layer norm": lambda x: torch.softmax(F.layer_norm(x, (4,)), -1),
    "no rule": lambda x: torch.special.i0(x),
}


def runs() -> Params:
    generator = torch.Generator().manual_seed(0)
    shapes = {"w": (4, 2), "b": (4,), "v": (1, 4)}
    return {name: torch.randn(RUNS, *shape, dtype=torch.float64, generator=generator) for name, shape in shapes.items()}


def one(params: Params, run: int) -> Params:
    return {name: value[run] for name, value in params.items()}


def network(p: Params, activation: Callable[[Tensor], Tensor] = torch.tanh) -> Callable[[Tensor], Tensor]:
    return lambda x: F.linear(activation(F.linear(x, p["w"], p["b"])), p["v"])


def batched_equals_serial(step: Callable[[Params], list[Tensor]]) -> None:
    params = runs()
    serial = [step(one(params, run)) for run in range(RUNS)]
    traced = graph_of(step, [one(params, 0)])
    for index, value in enumerate(torch.vmap(traced)(params)):
        expected = torch.stack([each[index] for each in serial])
        assert expected.abs().max() > 1e-6
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_loss_of_high_order_and_its_gradient(name: str) -> None:
    def step(p: Params) -> list[Tensor]:
        leaves = {key: value.detach().requires_grad_() for key, value in p.items()}
        u = network(leaves, ACTIVATIONS[name])
        fourth = taylor_derivative(lambda x: u(torch.stack([x, 0.5 - x], 1))[:, 0], 4)(POINTS[:, 0])
        gradients = torch.autograd.grad((fourth**2).mean(), list(leaves.values()))
        return [fourth.detach(), *gradients]

    batched_equals_serial(step)


@pytest.mark.parametrize("route", [nested_partials, taylor_partials])
def test_partials_and_their_gradient(route: Callable[..., Any]) -> None:
    def step(p: Params) -> list[Tensor]:
        leaves = {key: value.detach().requires_grad_() for key, value in p.items()}
        u = route(network(leaves), POINTS, [(0, 0), (3, 0), (1, 1)])
        residual = u[3, 0] + u[0, 0] * u[1, 1]
        return list(torch.autograd.grad((residual**2).mean(), list(leaves.values())))

    batched_equals_serial(step)


@pytest.mark.parametrize("order", [2, 5])
def test_coefficients_along_a_direction(order: int) -> None:
    def step(p: Params) -> list[Tensor]:
        direction = {key: value.cos() for key, value in p.items()}
        return [taylor(lambda q: (network(q)(POINTS) ** 2).sum(), p, direction, order)]

    batched_equals_serial(step)


def test_derivative_tensor() -> None:
    def step(p: Params) -> list[Tensor]:
        return [derivative_tensor(lambda q: torch.sin(q["b"].sum() * q["b"]).sum(), {"b": p["b"]}, 3)]

    batched_equals_serial(step)


@pytest.mark.parametrize("order", [2, 5])
def test_pointwise_derivatives(order: int) -> None:
    def step(p: Params) -> list[Tensor]:
        return [derivative(lambda x: torch.sin(x) * p["b"].sum(), order)(POINTS[:, 0])]

    batched_equals_serial(step)


def test_the_trace_survives_a_compiler() -> None:
    x = POINTS[:, 0]
    traced = graph_of(lambda x: taylor_derivative(lambda s: torch.tanh(s) / (1 + s * s), 5)(x), [x])
    compiled = torch.compile(traced, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), nested_derivative(lambda s: torch.tanh(s) / (1 + s * s), 5)(x))
