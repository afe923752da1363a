from typing import Any

import pytest
import torch
import torch.nn.functional as F
from derivative_problems import (
    Network,
    Normalisation,
    batch_norm,
    batch_norm_by_hand,
    layer_norm,
    layer_norm_by_hand,
    normal,
    quadratic,
    rosenbrock,
    rosenbrock_hessian,
    symmetric,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from traced import graph_of

from descend.derivatives import HessianProduct, gradient, hessian, jacobian, ravel, unravel
from descend.errors import ConfigurationError
from descend.types import Loss, Params


def dense(f: Loss, params: Params) -> Tensor:
    """The naive twin: torch.func.hessian over the flat vector, right for functions of elementary operations."""
    return torch.func.hessian(lambda flat: f(unravel(flat, params)))(ravel(params))


@pytest.mark.parametrize("size", [2, 3, 40])
@pytest.mark.parametrize("chunk", [1, 7, 128])
def test_rosenbrock_by_hand(size: int, chunk: int) -> None:
    x = normal(size)
    torch.testing.assert_close(hessian(rosenbrock, {"x": x}, chunk), rosenbrock_hessian(x), rtol=1e-13, atol=1e-12)


def test_a_quadratic_has_its_matrix() -> None:
    matrix = symmetric(6)
    torch.testing.assert_close(hessian(quadratic(matrix), {"x": normal(6)}), matrix, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("normalisation", "by_hand"),
    [(None, None), (layer_norm, layer_norm_by_hand), (batch_norm, batch_norm_by_hand)],
)
def test_networks_are_right_to_rounding_through_normalisations(
    normalisation: Normalisation | None, by_hand: Normalisation | None
) -> None:
    params = Network().init()
    expected = dense(Network(by_hand).loss, params)
    torch.testing.assert_close(hessian(Network(normalisation).loss, params), expected, rtol=0, atol=2e-14)


@pytest.mark.parametrize(("fused", "by_hand"), [(layer_norm, layer_norm_by_hand), (batch_norm, batch_norm_by_hand)])
def test_torch_func_hessian_is_still_wrong_through_normalisations(fused: Normalisation, by_hand: Normalisation) -> None:
    """When this fails, torch has mended its forward-over-reverse derivative of layer norm: say so in the docs."""
    params = Network().init()
    right, theirs = dense(Network(by_hand).loss, params), dense(Network(fused).loss, params)
    assert (theirs - right).norm() > 1e-3 * right.norm()
    assert (theirs - theirs.T).norm() > 1e-3 * right.norm()


def test_group_norm_which_vmap_has_refused() -> None:
    params = {"x": normal(2, 4, 3), "w": normal(4, seed=1), "b": normal(4, seed=2)}

    def f(p: Params) -> Tensor:
        return F.group_norm(p["x"], 2, p["w"], p["b"]).pow(3).sum()

    torch.testing.assert_close(hessian(f, params), dense(f, params), rtol=1e-10, atol=1e-10)


class MaskedWrite(torch.autograd.Function):
    """x³ for x > 0, whose backward writes by a mask: vmap refuses it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(min=0) ** 3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        slope = 3 * x**2 * grad
        slope[x < 0] = 0
        return slope


def test_rows_are_taken_one_by_one_where_vmap_refuses() -> None:
    x = torch.tensor([2.0, -1.0, 3.0])
    f = lambda p: (MaskedWrite.apply(p["x"]) * p["x"]).sum()  # noqa: E731
    assert torch.equal(hessian(f, {"x": x}), torch.tensor([48.0, 0.0, 108.0]).diag())


def test_no_influence_and_linear_influence_make_zero_rows() -> None:
    params = {"unused": normal(2), "x": normal(), "linear": normal(3), "coupled": normal(2, 1)}

    def f(p: Params) -> Tensor:
        return p["x"] ** 3 + 5 * p["linear"].sum() + p["x"] * p["coupled"].sum()

    expected = torch.zeros(8, 8, dtype=torch.float64)
    expected[2, 2] = 6 * params["x"]
    expected[2, 6:] = expected[6:, 2] = 1
    assert torch.equal(hessian(f, params), expected)
    assert torch.equal(hessian(lambda p: torch.ones(()), params), torch.zeros(8, 8, dtype=torch.float64))


@settings(max_examples=5)
@given(st.permutations(["w1", "b1", "scale", "shift", "w2", "b2"]))
def test_permuting_the_parameters_permutes_the_matrix(order: list[str]) -> None:
    network = Network(layer_norm)
    params = network.init()
    indices = unravel(torch.arange(len(ravel(params))), params)
    permutation = ravel({name: indices[name] for name in order})
    shuffled = hessian(network.loss, {name: params[name] for name in order})
    torch.testing.assert_close(shuffled, hessian(network.loss, params)[permutation][:, permutation], rtol=0, atol=1e-14)


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_each_block_is_the_jacobian_of_the_gradient_and_symmetric(seed: int) -> None:
    params = {"a": normal(3, seed=seed), "b": normal(2, 2, seed=seed + 1)}

    def f(p: Params) -> Tensor:
        return (p["a"].sin().outer(p["b"].flatten()).exp()).sum() + p["a"].prod() * p["b"].det()

    matrix = hessian(f, params)
    assert torch.allclose(matrix, matrix.T, rtol=1e-13, atol=1e-13)
    step = 1e-5
    for column in range(7):
        shift = step * torch.eye(7, dtype=torch.float64)[column]
        ahead, behind = (ravel(gradient(f, unravel(ravel(params) + s, params))) for s in (shift, -shift))
        difference = (ahead - behind) / (2 * step)
        assert torch.allclose(matrix[:, column], difference, rtol=1e-6, atol=1e-6 * float(matrix.abs().max()))


@pytest.mark.parametrize("chunk", [2, 256])
def test_the_matrix_is_the_callers_own(chunk: int) -> None:
    """(Σx)² has a Hessian of one number repeated, which autograd hands out as a view that cannot be written to."""
    matrix = hessian(lambda p: p["x"].sum() ** 2, {"x": normal(2, 2)}, chunk)
    matrix[0, 1] += 1
    assert float(matrix.sum()) == 4 * 4 * 2 + 1


def test_float32_stays_float32() -> None:
    matrix = hessian(rosenbrock, {"x": normal(4, dtype=torch.float32)})
    assert matrix.dtype == torch.float32
    assert not matrix.requires_grad


@pytest.mark.parametrize("normalisation", [None, layer_norm])
def test_a_traced_hessian_can_be_vmapped(normalisation: Normalisation | None) -> None:
    network = Network(normalisation)
    params = {name: value for name, value in network.init().items() if name in ("shift", "scale", "b2")}
    rest = {name: value for name, value in network.init().items() if name not in params}

    def f(part: Params) -> Tensor:
        return network.loss({**rest, **part})

    traced = graph_of(lambda p: hessian(f, p), [params])
    if normalisation is not None:  # its second derivative writes in place, which vmap refuses of constants
        traced = graph_of(torch.func.functionalize(traced), [params])
    runs = {name: torch.stack([value, value + 0.1, 2 * value]) for name, value in params.items()}
    expected = torch.stack([hessian(f, {name: value[i] for name, value in runs.items()}) for i in range(3)])
    torch.testing.assert_close(torch.vmap(traced)(runs), expected, rtol=0, atol=1e-14)


def test_a_traced_hessian_can_be_vmapped_with_runs_last() -> None:
    traced = graph_of(lambda p: hessian(rosenbrock, p), [{"x": normal(4)}])
    runs = normal(4, 5)
    matrices = torch.vmap(traced, in_dims=-1, out_dims=-1)({"x": runs})
    for i in range(5):
        torch.testing.assert_close(matrices[..., i], rosenbrock_hessian(runs[:, i]), rtol=1e-13, atol=1e-12)


def test_a_traced_product_and_jacobian_can_be_vmapped() -> None:
    f = lambda p: rosenbrock(p) + p["y"].prod()  # noqa: E731
    residuals = lambda p: torch.cat([p["x"] ** 2, p["y"].exp()])  # noqa: E731
    params, runs = {"x": normal(3), "y": normal(2)}, {"x": normal(4, 3), "y": normal(4, 2)}
    traced = graph_of(lambda p, v: (HessianProduct(f, p)(v), jacobian(residuals, p)), [params, normal(5)])
    vectors = normal(4, 5, seed=9)
    products, jacobians = torch.vmap(traced)(runs, vectors)
    for i in range(4):
        run = {name: value[i] for name, value in runs.items()}
        torch.testing.assert_close(products[i], hessian(f, run) @ vectors[i], rtol=1e-12, atol=1e-11)
        torch.testing.assert_close(jacobians[i], jacobian(residuals, run), rtol=1e-14, atol=0)


def test_a_matrix_too_large_is_refused_with_its_size() -> None:
    with pytest.raises(ConfigurationError, match=r"50,000,000 parameters .* GiB .* HessianProduct"):
        hessian(lambda p: p["x"].sum(), {"x": torch.zeros(1).expand(50_000_000)})
