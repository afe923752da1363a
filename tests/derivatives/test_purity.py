"""Taking derivatives leaves no trace in the model, its parameters or any generator."""

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from derivative_problems import generator, normal
from torch import Tensor, nn

from descend.derivatives import (
    GaussNewtonProduct,
    HessianProduct,
    auto_partials,
    density,
    derivative,
    derivative_tensor,
    gradient,
    hessian,
    hvp,
    jacobian,
    moments,
    nested_partials,
    spectrum,
    taylor,
    taylor_partials,
    value_and_gradient,
)
from descend.types import Params


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = torch.nn.Linear(3, 20), torch.nn.Linear(20, 2)
        self.norm = torch.nn.BatchNorm1d(20, track_running_stats=False)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.norm(self.first(x)).tanh())


def outputs_of(model: nn.Module) -> Callable[[Params], Tensor]:
    inputs = normal(6, 3, dtype=torch.float32)
    return lambda params: torch.func.functional_call(model, params, (inputs,))


ROUTES = {
    "gradient": lambda f, outputs, params: gradient(f, params),
    "jacobian": lambda f, outputs, params: jacobian(lambda p: outputs(p).flatten(), params),
    "hessian": lambda f, outputs, params: hessian(f, params),
    "gauss_newton": lambda f, outputs, params: GaussNewtonProduct(outputs, lambda z: z.square().sum(), params)(
        torch.ones(162)
    ),
    "spectrum": lambda f, outputs, params: spectrum(HessianProduct(f, params), generator(), top=2, bottom=1),
    "moments": lambda f, outputs, params: moments(HessianProduct(f, params), generator()),
    "density": lambda f, outputs, params: density(HessianProduct(f, params), generator(), steps=5),
}


def photograph(model: nn.Module) -> tuple[Any, ...]:
    state = {name: value.clone() for name, value in model.state_dict().items()}
    slopes = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    flags = {name: (value.requires_grad, value.is_leaf, value._version) for name, value in model.named_parameters()}
    legacy: Any = np.random.get_state()  # noqa: NPY002
    return state, slopes, flags, model.training, torch.get_rng_state(), legacy[1].tolist(), random.getstate()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("route", ROUTES)
def test_nothing_is_touched(route: str, training: bool) -> None:
    model = Model().train(training)
    for value in model.parameters():
        value.grad = torch.full_like(value, 7.0)
    outputs, params = outputs_of(model), dict(model.named_parameters())
    before, grad_mode = photograph(model), torch.is_grad_enabled()
    ROUTES[route](lambda p: outputs(p).square().mean(), outputs, params)
    after = photograph(model)
    torch.testing.assert_close(after[0], before[0], rtol=0, atol=0)
    torch.testing.assert_close(after[1], before[1], rtol=0, atol=0)
    assert after[2:4] == before[2:4]
    assert torch.equal(after[4], before[4])
    assert after[5:] == before[5:]
    assert torch.is_grad_enabled() is grad_mode


def test_results_hold_no_graph() -> None:
    model = Model()
    outputs: Any = outputs_of(model)
    params: Params = dict(model.named_parameters())
    f = lambda p: outputs(p).square().mean()  # noqa: E731
    results = [*gradient(f, params).values(), hessian(f, params), HessianProduct(f, params)(torch.ones(162))]
    assert not any(result.requires_grad for result in results)


POINT = {"x": torch.tensor([0.5, -1.5, 2.0], dtype=torch.float64)}
POINTS = torch.tensor([[0.5, -1.5], [2.0, 0.25]], dtype=torch.float64)
ALONG = {"x": torch.tensor([1.0, 0.5, -1.0], dtype=torch.float64)}


def wave(params: Params) -> Tensor:
    x = params["x"]
    return (x.sin() * x.roll(1).exp()).sum()


def field(points: Tensor) -> Tensor:
    return (points[:, :1] * points[:, 1:]).sin()


def along_sine(order: int) -> Tensor:
    return derivative(torch.sin, order)(POINT["x"])


WITHOUT_GRAPH: dict[str, Callable[[], Any]] = {
    "value_and_gradient": lambda: value_and_gradient(wave, POINT),
    "gradient": lambda: gradient(wave, POINT),
    "jacobian": lambda: jacobian(lambda p: p["x"].sin(), POINT),
    "hessian": lambda: hessian(wave, POINT),
    "hvp": lambda: hvp(wave, POINT, ALONG),
    "HessianProduct": lambda: HessianProduct(wave, POINT)(ALONG["x"]),
    "derivative_tensor": lambda: derivative_tensor(wave, POINT, 3),
    **{f"derivative {k}": functools.partial(along_sine, k) for k in (1, 2, 3)},
    **{f"taylor {k}": functools.partial(taylor, wave, POINT, ALONG, k) for k in (1, 2, 3)},
    **{
        each.__name__: functools.partial(each, field, POINTS, [(1, 0), (1, 1), (0, 2)])
        for each in (auto_partials, nested_partials, taylor_partials)
    },
}


@pytest.mark.parametrize("route", WITHOUT_GRAPH)
def test_under_no_grad_the_derivatives_are_the_same(route: str) -> None:
    expected = WITHOUT_GRAPH[route]()
    with torch.no_grad():
        torch.testing.assert_close(WITHOUT_GRAPH[route](), expected, rtol=1e-14, atol=0)
    leaves = torch.utils._pytree.tree_leaves(expected)
    assert any(x.abs().sum() > 0 for x in leaves)
