from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from derivative_problems import Network, Normalisation, batch_norm, layer_norm, normal, with_spectrum
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from descend.derivatives import (
    GaussNewtonProduct,
    HessianProduct,
    empirical_fisher_product,
    fisher_product,
    gradient,
    hessian,
    jacobian,
    ravel,
)
from descend.derivatives.products import Product


def matrix_of(product: Product) -> Tensor:
    return torch.stack([product(unit) for unit in torch.eye(product.size, dtype=product.dtype)])


def cross_entropy(network: Network) -> Callable[[Tensor], Tensor]:
    return lambda logits: F.cross_entropy(logits, network.targets)


@pytest.mark.parametrize("normalisation", [None, layer_norm, batch_norm])
def test_the_matrix_is_that_of_dense_jacobian_and_loss_hessian(normalisation: Normalisation | None) -> None:
    network = Network(normalisation)
    params = network.init()
    outer = jacobian(lambda p: network.logits(p).flatten(), params)
    inner = torch.func.hessian(lambda z: F.cross_entropy(z.view(12, 4), network.targets))(
        network.logits(params).flatten()
    )
    product = GaussNewtonProduct(network.logits, cross_entropy(network), params)
    torch.testing.assert_close(matrix_of(product), outer.T @ inner @ outer, rtol=0, atol=1e-14)


def test_it_is_the_hessian_where_the_outputs_are_linear() -> None:
    a, target = normal(7, 4), normal(7, seed=1)
    params = {"x": normal(4, seed=2)}
    loss = lambda z: (z - target).square().sum() / 2  # noqa: E731
    product = GaussNewtonProduct(lambda p: a @ p["x"], loss, params)
    torch.testing.assert_close(matrix_of(product), a.T @ a, rtol=1e-13, atol=1e-13)
    full = HessianProduct(lambda p: loss(a @ p["x"]), params)
    torch.testing.assert_close(matrix_of(product), matrix_of(full), rtol=1e-13, atol=1e-13)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_convex_losses_make_it_positive_semidefinite_and_linear(seed: int) -> None:
    network = Network(layer_norm)
    product = GaussNewtonProduct(network.logits, cross_entropy(network), network.init())
    u, v = normal(product.size, seed=seed), normal(product.size, seed=seed + 1)
    assert u @ product(u) > 0
    torch.testing.assert_close(product(2 * u - v), 2 * product(u) - product(v), rtol=0, atol=1e-13)


def test_a_loss_linear_in_the_outputs_has_no_curvature() -> None:
    product = GaussNewtonProduct(lambda p: p["x"].exp(), lambda z: z.sum(), {"x": normal(3)})
    assert product(normal(3)).tolist() == [0, 0, 0]


def test_the_fisher_matrix_is_the_expectation_over_the_models_own_labels() -> None:
    network = Network(layer_norm)
    params = network.init()
    expected = torch.zeros(100, 100, dtype=torch.float64)
    for sample in range(12):
        for label, probability in enumerate(network.logits(params)[sample].softmax(0)):
            score = ravel(gradient(lambda p: network.logits(p)[sample].log_softmax(0)[label], params))  # noqa: B023
            expected += probability * torch.outer(score, score) / 12
    torch.testing.assert_close(matrix_of(fisher_product(network.logits, params)), expected, rtol=0, atol=1e-14)


def test_the_empirical_fisher_matrix_is_the_mean_square_of_the_sample_gradients() -> None:
    network = Network()
    params = network.init()
    losses = lambda p: F.cross_entropy(network.logits(p), network.targets, reduction="none")  # noqa: E731
    gradients = jacobian(losses, params)
    product = empirical_fisher_product(losses, params)
    torch.testing.assert_close(matrix_of(product), gradients.T @ gradients / 12, rtol=0, atol=1e-14)


def test_the_hessian_is_gauss_newton_plus_the_curvature_of_the_outputs() -> None:
    matrix, weights = with_spectrum(torch.tensor([3.0, -1.0, 2.0]).double()), normal(3, seed=3)
    outputs = lambda p: torch.stack([p["x"] @ matrix @ p["x"] / 2, (weights * p["x"]).sum()])  # noqa: E731
    loss = lambda z: z[0] * z[1] + z[1] ** 2  # noqa: E731
    params = {"x": normal(3, seed=4)}
    slope = outputs(params)[1]
    difference = hessian(lambda p: loss(outputs(p)), params) - matrix_of(GaussNewtonProduct(outputs, loss, params))
    torch.testing.assert_close(difference, slope * matrix, rtol=1e-12, atol=1e-12)
