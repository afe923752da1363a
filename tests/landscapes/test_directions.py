"""Directions in the scale of the parameters: by hand on a convolution, and the eigenvectors against a whole Hessian."""

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from descend.derivatives import ravel, unravel
from descend.errors import ConfigurationError
from descend.landscapes.directions import (
    filter_normalised,
    hessian_rows,
    random_rows,
    scaled_rows,
    whole_normalised,
)
from descend.types import Params


def parameters(net: nn.Module) -> Params:
    return {name: x.detach() for name, x in net.named_parameters()}


def test_every_filter_of_a_convolution_has_the_length_of_the_network_s() -> None:
    torch.manual_seed(0)
    params, direction = parameters(nn.Conv2d(3, 4, 5)), parameters(nn.Conv2d(3, 4, 5))
    found = filter_normalised(direction, params)
    for j in range(4):  # d ← d / ‖d‖ ‖θ‖, filter by filter
        expected = direction["weight"][j] / direction["weight"][j].norm() * params["weight"][j].norm()
        torch.testing.assert_close(found["weight"][j], expected)
    expected = direction["bias"] / direction["bias"].norm() * params["bias"].norm()
    torch.testing.assert_close(found["bias"], expected)


def test_a_network_that_is_scaled_but_computes_the_same_has_the_same_landscape() -> None:
    """What filter normalisation is for: relu(c W₁ x) W₂ / c is relu(W₁ x) W₂, at every point of the plane."""
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(3, 5, bias=False), nn.ReLU(), nn.Linear(5, 2, bias=False)).double()
    params, direction = parameters(net), {name: torch.randn_like(x) for name, x in net.named_parameters()}
    scaled = {"0.weight": 7 * params["0.weight"], "2.weight": params["2.weight"] / 7}
    inputs = torch.randn(9, 3, dtype=torch.float64)

    def outputs(at: Params) -> Tensor:
        step = filter_normalised(direction, at)
        return functional_call(net, {name: x + 0.3 * step[name] for name, x in at.items()}, (inputs,))

    torch.testing.assert_close(outputs(scaled), outputs(params), rtol=1e-12, atol=1e-12)


def test_filters_of_zeros_stay_where_they_are() -> None:
    params = {"w": torch.tensor([[0.0, 0.0], [3.0, 4.0]]), "b": torch.zeros(2)}
    found = filter_normalised({"w": torch.tensor([[1.0, 2.0], [0.0, 0.0]]), "b": torch.ones(2)}, params)
    assert found["w"].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert found["b"].tolist() == [0.0, 0.0]


def test_a_whole_direction_is_as_long_as_the_parameters() -> None:
    params = {"w": torch.tensor([[3.0, 0.0], [0.0, 0.0]]), "b": torch.tensor([4.0])}
    direction = {"w": torch.ones(2, 2), "b": torch.zeros(1)}
    torch.testing.assert_close(ravel(whole_normalised(direction, params)), torch.tensor([2.5, 2.5, 2.5, 2.5, 0.0]))


def test_random_directions_are_normal_and_those_of_the_generator() -> None:
    params = {"w": torch.zeros(100, 200), "b": torch.zeros(100)}
    rows = random_rows(params, torch.Generator().manual_seed(3))
    assert rows.equal(random_rows(params, torch.Generator().manual_seed(3)))
    assert rows.shape == (2, 20_100)
    assert rows.dtype == torch.float32
    assert abs(float(rows.std()) - 1) < 0.02
    assert abs(float(torch.corrcoef(rows)[0, 1])) < 0.03


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_steepest_directions_are_eigenvectors_of_the_whole_hessian(dtype: torch.dtype) -> None:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).to(dtype)
    params, inputs, targets = parameters(net), torch.randn(20, 4, dtype=dtype), torch.arange(20) % 3

    def loss(at: Params) -> Tensor:
        return nn.functional.cross_entropy(functional_call(net, at, (inputs,)), targets)

    rows, values = hessian_rows(loss, params, torch.Generator().manual_seed(0))
    whole = torch.func.hessian(lambda point: loss(unravel(point, params)))(ravel(params))
    expected, vectors = torch.linalg.eigh(whole.double())
    torch.testing.assert_close(values, expected[[-1, -2]], rtol=1e-5, atol=0)
    for row, vector in zip(rows.double(), vectors.T[[-1, -2]], strict=True):
        assert abs(float(row @ vector)) == pytest.approx(1, abs=1e-5)
    kept = scaled_rows(rows, params, whole_normalised)
    for row, along in zip(rows, kept, strict=True):
        torch.testing.assert_close(along, row * ravel(params).norm())


def test_a_hessian_that_is_not_finite_is_refused() -> None:
    params = {"x": torch.tensor([0.0, 1.0], dtype=torch.float64)}
    with pytest.raises(ConfigurationError, match="not finite"):
        hessian_rows(lambda p: (p["x"] ** 1.5).sum(), params, torch.Generator().manual_seed(0))
