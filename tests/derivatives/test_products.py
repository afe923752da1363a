import pytest
import torch
from derivative_problems import (
    Network,
    Normalisation,
    batch_norm,
    batch_norm_by_hand,
    layer_norm,
    layer_norm_by_hand,
    normal,
    rosenbrock,
    rosenbrock_hessian,
)
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import rosen_hess_prod

from descend.derivatives import GaussNewtonProduct, HessianProduct, hvp, ravel, unravel

SCALARS = st.floats(-10, 10)


def test_products_are_scipys() -> None:
    x, vector = normal(9), normal(9, seed=1)
    expected = torch.from_numpy(rosen_hess_prod(x.numpy(), vector.numpy()))
    torch.testing.assert_close(HessianProduct(rosenbrock, {"x": x})(vector), expected, rtol=1e-12, atol=1e-11)


def test_products_are_right_through_normalisations_again_and_again() -> None:
    params = Network().init()
    for fused, by_hand in ((layer_norm, layer_norm_by_hand), (batch_norm, batch_norm_by_hand)):
        product = HessianProduct(Network(fused).loss, params)
        reference = Network(by_hand)
        expected = torch.func.hessian(lambda flat: reference.loss(unravel(flat, params)))(ravel(params))  # noqa: B023
        for seed in range(3):
            vector = normal(product.size, seed=seed)
            torch.testing.assert_close(product(vector), expected @ vector, rtol=0, atol=1e-13)


@given(SCALARS, SCALARS, st.integers(0, 100))
def test_products_are_linear_and_symmetric(a: float, b: float, seed: int) -> None:
    network = Network(layer_norm)
    product = HessianProduct(network.loss, network.init())
    u, v = normal(product.size, seed=seed), normal(product.size, seed=seed + 1)
    torch.testing.assert_close(product(a * u + b * v), a * product(u) + b * product(v), rtol=0, atol=1e-12)
    torch.testing.assert_close(u @ product(v), v @ product(u), rtol=1e-12, atol=1e-13)


def test_a_block_is_the_product_of_some_parameters_with_the_rest_fixed() -> None:
    x = normal(6)
    block = HessianProduct(lambda part: rosenbrock({"x": torch.cat([x[:4], part["tail"]])}), {"tail": x[4:]})
    expected = rosenbrock_hessian(x)[4:, 4:]
    torch.testing.assert_close(torch.stack([block(e) for e in torch.eye(2).double()]), expected)


def test_hvp_keeps_names_and_shapes() -> None:
    params, direction = {"a": normal(2, 3), "b": normal()}, {"a": normal(2, 3, seed=1), "b": normal(seed=2)}
    result = hvp(lambda p: (p["a"] ** 3).sum() + p["b"] ** 4, params, direction)
    torch.testing.assert_close(result["a"], 6 * params["a"] * direction["a"])
    torch.testing.assert_close(result["b"], 12 * params["b"] ** 2 * direction["b"])


def test_a_linear_function_has_product_zero() -> None:
    product = HessianProduct(lambda p: p["x"].sum(), {"x": normal(3)})
    assert product(normal(3)).tolist() == [0, 0, 0]
    assert (product.size, product.dtype, product.device) == (3, torch.float64, torch.device("cpu"))


@pytest.mark.parametrize("normalisation", [None, layer_norm, batch_norm])
def test_products_with_several_vectors_are_those_with_each(normalisation: Normalisation | None) -> None:
    network = Network(normalisation)
    outer = lambda logits: torch.nn.functional.cross_entropy(logits, network.targets)  # noqa: E731
    vectors = normal(3, 100)
    for product in (
        HessianProduct(network.loss, network.init()),
        GaussNewtonProduct(network.logits, outer, network.init()),
    ):
        expected = torch.stack([product(vector) for vector in vectors])
        torch.testing.assert_close(product.each(vectors), expected, rtol=0, atol=1e-14)
        torch.testing.assert_close(product.each(vectors[:1]), expected[:1], rtol=0, atol=1e-14)


def test_large_matrices_take_one_vector_at_a_time() -> None:
    x = normal(5000)
    vectors = normal(3, 5000, seed=1)
    torch.testing.assert_close(HessianProduct(lambda p: (p["x"] ** 3).sum(), {"x": x}).each(vectors), 6 * x * vectors)
