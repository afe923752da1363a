from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from derivative_problems import Network, Normalisation, batch_norm, layer_norm, normal, rosenbrock
from scipy.optimize import rosen_der

from descend.derivatives import (
    HessianProduct,
    derivative_tensor,
    gradient,
    hessian,
    jacobian,
    ravel,
    taylor,
    unravel,
    value_and_gradient,
)
from descend.errors import ConfigurationError
from descend.types import Loss, Params


def test_gradient_is_scipys() -> None:
    x = normal(7)
    value, slopes = value_and_gradient(rosenbrock, {"x": x})
    torch.testing.assert_close(slopes["x"].numpy(), rosen_der(x.numpy()), rtol=1e-13, atol=0)
    assert torch.equal(value, rosenbrock({"x": x}))
    assert not value.requires_grad
    assert not slopes["x"].requires_grad


@pytest.mark.parametrize("normalisation", [None, layer_norm, batch_norm])
def test_gradient_is_that_of_functorch(normalisation: Normalisation | None) -> None:
    network = Network(normalisation)
    expected = torch.func.grad(network.loss)(network.init())
    torch.testing.assert_close(gradient(network.loss, network.init()), expected, rtol=1e-12, atol=1e-15)


def test_parameters_without_influence_have_gradient_zero() -> None:
    params = {"used": normal(2), "unused": normal(3)}
    assert gradient(lambda p: p["used"].sum(), params)["unused"].tolist() == [0, 0, 0]
    assert gradient(lambda p: torch.ones(()), params)["used"].tolist() == [0, 0]


DISCONNECTED = {
    "a function without a derivative": lambda p: torch.special.bessel_j0(p["x"]).sum(),
    "a number taken out": lambda p: torch.tensor(float(p["x"].detach().square().sum())),
    "detach": lambda p: p["x"].detach().sum(),
    "NumPy": lambda p: torch.from_numpy(np.sin(p["x"].detach().numpy())).sum(),
}


@pytest.mark.parametrize("way", DISCONNECTED)
@pytest.mark.parametrize(
    "ask", [gradient, hessian, lambda f, p: taylor(f, p, p, 2)], ids=["gradient", "hessian", "taylor"]
)
def test_a_value_that_autograd_cannot_follow_is_refused_where_it_is_no_constant(
    ask: Callable[..., Any], way: str
) -> None:
    with pytest.raises(ConfigurationError, match="changes with its parameters, but only through operations"):
        ask(DISCONNECTED[way], {"x": torch.tensor([0.3, 0.7], dtype=torch.float64)})


EMPTY: dict[str, Params] = {"no parameters": {}, "no numbers": {"x": torch.zeros(0, 3)}}
ASKED: dict[str, Callable[..., Any]] = {
    "gradient": gradient,
    "jacobian": lambda f, p: jacobian(lambda q: f(q)[None], p),
    "hessian": hessian,
    "product": HessianProduct,
    "tensor": lambda f, p: derivative_tensor(f, p, 3),
    "taylor": lambda f, p: taylor(f, p, p, 2),
    "series": lambda f, p: taylor(f, p, p, 4),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("params", EMPTY)
def test_without_a_number_to_differentiate_in_the_reason_is_said(asked: str, params: str) -> None:
    with pytest.raises(ConfigurationError, match=r"at least one number to differentiate in: give some\."):
        ASKED[asked](lambda p: sum(((x**3).sum() for x in p.values()), torch.zeros(())), EMPTY[params])


def test_an_empty_parameter_beside_others_is_no_hindrance() -> None:
    params = {"none": torch.zeros(0), "x": torch.tensor([2.0])}
    assert hessian(lambda p: (p["none"] ** 3).sum() + (p["x"] ** 3).sum(), params).tolist() == [[12.0]]


def test_gradient_works_where_gradients_are_off() -> None:
    with torch.no_grad():
        assert gradient(lambda p: p["x"] ** 2, {"x": torch.tensor(3.0)})["x"] == 6


def test_jacobian_is_that_of_functorch_in_any_chunks() -> None:
    network = Network(layer_norm)
    params = network.init()
    outputs = lambda p: network.logits(p).flatten()  # noqa: E731
    expected = torch.func.jacrev(lambda flat: outputs(unravel(flat, params)))(ravel(params))
    for chunk in (1, 5, 128):
        torch.testing.assert_close(jacobian(outputs, params, chunk), expected, rtol=1e-12, atol=1e-14)


def test_jacobian_of_constants_is_zero() -> None:
    assert torch.equal(jacobian(lambda p: torch.ones(2), {"x": normal(3)}), torch.zeros(2, 3, dtype=torch.float64))


@pytest.mark.parametrize(
    ("f", "params", "sentence"),
    [
        (lambda p: p["x"], {"x": torch.ones(3)}, r"shape \[3\]"),
        (lambda p: p["x"].sum(), {"x": torch.ones(3, dtype=torch.int64)}, "Parameter 'x' has dtype torch.int64"),
    ],
)
def test_what_has_no_gradient_is_refused_in_a_sentence(f: Loss, params: Params, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        gradient(f, params)


def test_jacobian_of_a_matrix_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r"shape \[2, 2\]"):
        jacobian(lambda p: p["x"].outer(p["x"]), {"x": torch.ones(2)})
