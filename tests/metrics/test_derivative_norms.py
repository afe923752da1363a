"""Norms of whole derivative tensors against torch.autograd.functional, and how many orders are asked for."""

from collections.abc import Callable

import pytest
import torch

import descend
from descend.errors import ConfigurationError
from descend.metrics.derivative_norms import DerivativeNorms
from descend.types import Observation


def curved(x: torch.Tensor) -> torch.Tensor:
    return torch.sin(x).sum() * (x**3).sum() + torch.exp(x[0] * x[1])


def test_norms_are_those_of_the_whole_tensors(observe: Callable[..., Observation]) -> None:
    x = torch.tensor([0.3, -0.8, 1.1], dtype=torch.float64)
    seen = observe({"x": x}, lambda p: curved(p["x"]))
    with torch.no_grad():
        found = DerivativeNorms(order=3)(seen)
    hessian = lambda point: torch.autograd.functional.hessian(curved, point, create_graph=True)  # noqa: E731
    expected = {
        "derivative/norm/1": torch.autograd.functional.jacobian(curved, x).norm(),
        "derivative/norm/2": hessian(x).norm(),
        "derivative/norm/3": torch.autograd.functional.jacobian(hessian, x).norm(),
    }
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("size", "orders"), [(2, 8), (6, 3), (16, 2), (256, 1), (257, 0)])
def test_orders_stop_where_tensors_grow_large(observe: Callable[..., Observation], size: int, orders: int) -> None:
    params = {"x": torch.ones(size, dtype=torch.float64)}
    metric = DerivativeNorms(order=13)
    assert metric.applies(params) == (orders > 0)
    if orders > 2:  # quadratics alone: high orders of a real function take long
        assert list(metric(observe(params)))[-1] == f"derivative/norm/{orders}"


def names(*overrides: str) -> set[str]:
    result = descend.run(["objective=rosenbrock", "metrics=none", "steps=1", *overrides])
    return set(result.records["name"]) - {"value"}


def test_one_number_says_to_which_order() -> None:
    assert names("derivatives=first") == {"decrease/actual", "decrease/order_1", "derivative/norm/1"}
    predicted = {"decrease/actual", *(f"decrease/order_{k}" for k in range(1, 6))}
    assert names("derivatives.order=5") == predicted | {f"derivative/norm/{k}" for k in range(1, 6)}
    assert "derivative/x[0],x[0],x[1]" in names("derivatives=partials", "derivatives.order=3")


@pytest.mark.parametrize("order", [-1, 0])
def test_an_order_below_one_is_refused(order: int) -> None:
    with pytest.raises(ConfigurationError, match=f"order is {order}, but it must be at least 1"):
        names(f"derivatives.order={order}")
