"""Mixed partial derivatives of u(points): both routes against sympy, each other, and through to the parameters."""

import itertools
import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import pytest
import sympy
import torch
from torch import Tensor, nn

from descend.derivatives import auto_partials, nested_partials, taylor_partials
from descend.derivatives.polarisation import polarisation
from descend.errors import ConfigurationError

Route = Callable[..., dict[Any, Tensor]]
ROUTES: list[Route] = [nested_partials, taylor_partials, auto_partials]
X, T = sympy.symbols("x t")
FORMULAS = [sympy.sin(2 * X * T) * sympy.exp(-X), sympy.tanh(X - T) + X**2 * T**3]
POINTS = torch.tensor([[0.3, -0.2], [1.1, 0.4], [-0.7, 0.9]], dtype=torch.float64)
UP_TO_FOUR = [index for index in itertools.product(range(5), repeat=2) if sum(index) <= 4]


def u(points: Tensor) -> Tensor:
    x, t = points[:, 0], points[:, 1]
    return torch.stack([torch.sin(2 * x * t) * torch.exp(-x), torch.tanh(x - t) + x**2 * t**3], 1)


def exact(index: tuple[int, int]) -> Tensor:
    derived = [sympy.diff(sympy.diff(formula, X, index[0]), T, index[1]) for formula in FORMULAS]
    at = [{X: sympy.Rational(x), T: sympy.Rational(t)} for x, t in POINTS.tolist()]
    return torch.tensor([[float(f.evalf(30, subs=each)) for f in derived] for each in at], dtype=torch.float64)


@pytest.mark.parametrize("route", ROUTES)
def test_partials_agree_with_sympy(route: Route) -> None:
    values = route(u, POINTS, UP_TO_FOUR)
    assert list(values) == UP_TO_FOUR
    for index, value in values.items():
        torch.testing.assert_close(value, exact(index), rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize(
    "indices",
    [[(0, 0), (2, 0), (0, 2)], [(0, 1), (1, 0), (3, 0)], [(4, 0)], [(2, 1), (1, 1)]],
    ids=["Helmholtz", "KdV", "beam", "mixed"],
)
def test_gradients_in_the_parameters_agree(indices: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 10), nn.Tanh(), nn.Linear(10, 10), nn.SiLU(), nn.Linear(10, 2)).double()
    gradients = []
    for route in ROUTES:
        values = route(network, POINTS, indices).values()
        loss = reduce(torch.add, ((value**2).mean() for value in values))
        gradients.append(
            torch.autograd.grad(loss, list(network.parameters()), allow_unused=True, materialize_grads=True)
        )
    for nested, *others in zip(*gradients, strict=True):
        for other in others:
            torch.testing.assert_close(other, nested, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("index", [(3,), (1, 1), (2, 1), (2, 2), (1, 1, 1), (3, 0, 2), (2, 1, 2)])
def test_polarisation_is_exact_on_every_monomial_of_its_degree(index: tuple[int, ...]) -> None:
    degree = sum(index)
    for other in itertools.product(range(degree + 1), repeat=len(index)):
        if sum(other) != degree:
            continue
        # For u = Π x_i^other_i, c_m(r) = Π r_i^other_i.
        value = sum(
            w * math.prod(r**n for r, n in zip(ray, other, strict=True)) for ray, w in polarisation(index).items()
        )
        assert value == (math.prod(map(math.factorial, index)) if other == index else 0)


def test_directions_are_few_and_shared() -> None:
    assert len(polarisation((4, 0))) == 1
    assert set(polarisation((1, 1))) == {(1, 1), (1, -1)}
    assert set(polarisation((2, 1))) == {(2, 1), (0, 1), (2, -1)}
    calls = []

    def counted(points: Tensor) -> Tensor:
        calls.append(points)
        return u(points)

    taylor_partials(counted, POINTS, [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)])
    assert len(calls) == 2


@pytest.mark.parametrize("route", ROUTES)
def test_float32_stays_float32(route: Route) -> None:
    for value in route(u, POINTS.float(), [(0, 0), (3, 0), (1, 1)]).values():
        assert value.dtype == torch.float32
        assert value.shape == (3, 2)


@pytest.mark.parametrize("route", ROUTES)
def test_wrong_indices_are_refused(route: Route) -> None:
    for index in ((1,), (1, -1), (0, 0, 1)):
        with pytest.raises(ConfigurationError, match="points of 2 coordinates"):
            route(u, POINTS, [index])


@pytest.mark.parametrize("route", ROUTES)
def test_values_of_another_shape_are_refused(route: Route) -> None:
    for field in (lambda x: x[:, 0], lambda x: x.sum(0, keepdim=True)):
        with pytest.raises(ConfigurationError, match=r"\[3, outputs\]"):
            route(field, POINTS, [(4, 0)])
