import numpy as np
import pytest
import torch
from derivative_problems import Network, generator, layer_norm, normal, quadratic, symmetric, with_spectrum
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import LinearOperator, eigsh
from torch import Tensor

from descend.derivatives import HessianProduct, hessian, spectrum
from descend.errors import ConfigurationError


def product_of(matrix: Tensor) -> HessianProduct:
    return HessianProduct(quadratic(matrix), {"x": torch.zeros(len(matrix), dtype=matrix.dtype)})


def decaying(size: int, outliers: list[float]) -> Tensor:
    """A spectrum like a network's: a narrow bulk about zero and a few outliers [k]."""
    bulk = torch.linspace(-0.01, 0.1, size - len(outliers), dtype=torch.float64)
    return torch.cat([bulk, torch.tensor(outliers, dtype=torch.float64)])


@pytest.mark.parametrize("size", [1, 2, 10, 64])
def test_small_matrices_are_decomposed_exactly_as_by_numpy(size: int) -> None:
    matrix = symmetric(size)
    top = (size + 1) // 2
    found = spectrum(product_of(matrix), generator(), top=top, bottom=size - top)
    values = np.linalg.eigvalsh(matrix.numpy())
    scale = np.abs(values).max()
    np.testing.assert_allclose(found.top.values.numpy(), values[::-1][:top], rtol=0, atol=1e-13 * scale)
    np.testing.assert_allclose(found.bottom.values.numpy(), values[: size - top], rtol=0, atol=1e-13 * scale)
    for pairs in (found.top, found.bottom):
        images = pairs.vectors @ matrix
        torch.testing.assert_close(images, pairs.values[:, None] * pairs.vectors, rtol=0, atol=1e-12 * scale)
    assert found.converged


def test_large_matrices_reach_the_tolerance_as_scipy_does() -> None:
    matrix = with_spectrum(decaying(500, [9, 7, 6.5, 4, 2, -3, -1.5]))
    product = product_of(matrix)
    found = spectrum(product, generator(), top=5, bottom=2, tolerance=1e-6)
    operator = LinearOperator((500, 500), lambda v: product(torch.from_numpy(v.ravel())).numpy())
    highest, lowest = eigsh(operator, 5, which="LA")[0], eigsh(operator, 2, which="SA")[0]
    np.testing.assert_allclose(found.top.values.numpy(), highest[::-1], rtol=1e-6)
    np.testing.assert_allclose(found.bottom.values.numpy(), lowest, rtol=1e-6)
    assert found.converged
    assert len(found.basis) < 60
    residuals = found.top.vectors @ matrix - found.top.values[:, None] * found.top.vectors
    assert residuals.norm(dim=1).max() < 1e-2
    assert (found.top.vectors @ found.top.vectors.T - torch.eye(5)).abs().max() < 1e-12


def test_the_bounds_hold_and_a_tighter_tolerance_takes_more_products() -> None:
    values = torch.cat([torch.linspace(-1, 1, 296), torch.tensor([1.1, 1.2, 1.3, 1.5])]).double()
    product = product_of(with_spectrum(values))
    taken = []
    for tolerance in (1e-2, 1e-5, 1e-10):
        found = spectrum(product, generator(), top=4, tolerance=tolerance)
        error = (found.top.values - values.sort(descending=True).values[:4]).abs()
        assert (found.top.errors >= 0).all()
        assert (error <= found.top.errors + 1e-12).all()
        assert (error <= tolerance * found.top.values + 1e-12).all()
        taken.append(len(found.basis))
    assert taken == sorted(set(taken))


@settings(max_examples=20)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=30), st.integers(0, 100))
def test_any_small_spectrum_with_its_multiplicities_is_found(values: list[float], seed: int) -> None:
    matrix = with_spectrum(torch.tensor(values, dtype=torch.float64), seed)
    found = spectrum(product_of(matrix), generator(seed), top=len(values))
    assert torch.allclose(
        found.top.values.flip(0), torch.tensor(sorted(values), dtype=torch.float64), rtol=0, atol=1e-12
    )


def test_mixed_signs_of_equal_size_which_defeat_power_iteration() -> None:
    values = decaying(200, [6, 5, -6, -5])
    found = spectrum(product_of(with_spectrum(values)), generator(), top=2, bottom=2, tolerance=1e-8)
    torch.testing.assert_close(found.top.values, torch.tensor([6.0, 5.0]).double(), rtol=1e-8, atol=0)
    torch.testing.assert_close(found.bottom.values, torch.tensor([-6.0, -5.0]).double(), rtol=1e-8, atol=0)


def test_an_exhausted_krylov_space_goes_on_in_a_new_direction() -> None:
    values = torch.zeros(100, dtype=torch.float64)
    values[:2] = 3.0
    found = spectrum(product_of(with_spectrum(values)), generator(), top=1, bottom=1)
    torch.testing.assert_close(found.top.values, torch.tensor([3.0]).double())
    assert abs(found.bottom.values) < 1e-12
    identity = spectrum(product_of(torch.eye(100, dtype=torch.float64)), generator(), top=7)
    torch.testing.assert_close(identity.top.values, torch.ones(7, dtype=torch.float64))
    assert (identity.top.vectors @ identity.top.vectors.T - torch.eye(7)).abs().max() < 1e-12
    zero = spectrum(product_of(torch.zeros(100, 100)), generator(), top=3)
    assert zero.top.values.tolist() == [0, 0, 0]


def test_the_basis_stays_orthonormal_long_after_convergence() -> None:
    found = spectrum(
        product_of(with_spectrum(decaying(400, [9, 7, 4]))), generator(), top=60, tolerance=1e-12, most=200
    )
    assert (found.basis @ found.basis.T - torch.eye(len(found.basis))).abs().max() < 1e-13


def test_a_warm_start_takes_fewer_products() -> None:
    matrix = with_spectrum(decaying(500, [9, 7, 6.5, 4, 2]))
    cold = spectrum(product_of(matrix), generator(), top=5, tolerance=1e-6)
    warm = spectrum(product_of(matrix), generator(1), top=5, tolerance=1e-6, start=cold.top.vectors.sum(0))
    assert len(warm.basis) < len(cold.basis)
    torch.testing.assert_close(warm.top.values, cold.top.values, rtol=1e-6, atol=0)


def test_float32_reaches_its_own_precision() -> None:
    values = decaying(300, [9, 7, 4])
    product = product_of(with_spectrum(values).float())
    found = spectrum(product, generator(), top=3, tolerance=1e-7)
    torch.testing.assert_close(found.top.values, torch.tensor([9.0, 7, 4]).double(), rtol=2e-6, atol=0)
    assert found.top.vectors.dtype == torch.float32


def test_the_networks_spectrum_is_that_of_its_hessian() -> None:
    network = Network(layer_norm)
    params = network.init()
    expected = torch.linalg.eigvalsh(hessian(network.loss, params))
    found = spectrum(HessianProduct(network.loss, params), generator(), top=3, bottom=3, tolerance=1e-10)
    torch.testing.assert_close(found.top.values, expected.flip(0)[:3], rtol=1e-9, atol=0)
    torch.testing.assert_close(found.bottom.values, expected[:3], rtol=1e-9, atol=0)


def test_the_generator_decides_the_start_and_nothing_else_does() -> None:
    product = product_of(with_spectrum(decaying(200, [3, 2, 1])))
    first, again, other = (spectrum(product, generator(seed), top=2) for seed in (0, 0, 1))
    assert torch.equal(first.basis, again.basis)
    assert not torch.equal(first.basis[0], other.basis[0])


def test_too_few_products_are_admitted() -> None:
    found = spectrum(product_of(symmetric(200)), generator(), top=5, most=8)
    assert not found.converged
    assert len(found.basis) == 8


@pytest.mark.parametrize("size", [5, 100])
def test_what_is_not_finite_has_nan_for_eigenvalues(size: int) -> None:
    matrix = symmetric(size)
    matrix[1, 1] = torch.inf
    found = spectrum(product_of(matrix), generator(), top=2, bottom=1)
    assert found.top.values.isnan().all()
    assert found.bottom.values.isnan().all()
    assert not found.converged


@pytest.mark.parametrize(("top", "bottom"), [(0, 0), (-1, 2), (3, 2)])
def test_more_pairs_than_there_are_is_refused_in_a_sentence(top: int, bottom: int) -> None:
    with pytest.raises(ConfigurationError, match="the matrix has 4"):
        spectrum(product_of(symmetric(4)), generator(), top=top, bottom=bottom)


def test_negating_the_matrix_swaps_top_and_bottom() -> None:
    matrix = with_spectrum(decaying(150, [3, 2, -4]), seed=5)
    ours = spectrum(product_of(matrix), generator(), top=2, bottom=1, tolerance=1e-9)
    mirrored = spectrum(product_of(-matrix), generator(), top=1, bottom=2, tolerance=1e-9)
    torch.testing.assert_close(ours.top.values, -mirrored.bottom.values, rtol=1e-8, atol=0)
    torch.testing.assert_close(ours.bottom.values, -mirrored.top.values, rtol=1e-8, atol=0)
    assert normal(1).dtype == ours.top.values.dtype


def test_an_eigenvalue_that_the_start_hardly_touches_is_not_passed_over() -> None:
    values = torch.cat(
        [torch.tensor([10, 9, 8, 7, 6, 3, 2.5], dtype=torch.float64), torch.linspace(0, 1, 293).double()]
    )
    start = torch.ones(300, dtype=torch.float64)
    start[2] = 1e-5
    found = spectrum(product_of(values.diag()), generator(), top=5, tolerance=1e-2, start=start)
    assert found.converged
    torch.testing.assert_close(found.top.values, values[:5], rtol=1e-2, atol=0)


@pytest.mark.parametrize("size", [40, 100])
@pytest.mark.parametrize("scale", [1e-30, 1e-25, 1e-20, 1e17, 1e21, 1e30])
def test_where_squares_leave_the_range_of_float32_the_eigenvalues_do_not(size: int, scale: float) -> None:
    """Spectrum 1, 2, …, size: known without computing it."""
    matrix = with_spectrum(torch.arange(1.0, size + 1, dtype=torch.float64)).float()
    product = HessianProduct(lambda p: scale * (p["x"] @ matrix @ p["x"]) / 2, {"x": torch.ones(size)})
    found = spectrum(product, generator(), top=3, bottom=1)
    torch.testing.assert_close(
        found.top.values / scale, torch.tensor([size, size - 1, size - 2], dtype=torch.float64), rtol=1e-3, atol=0
    )
    assert float(found.bottom.values[0]) == pytest.approx(scale, rel=1e-2)
    assert found.converged


def test_a_start_whose_square_leaves_the_range_is_as_good_as_another() -> None:
    product = product_of(with_spectrum(torch.arange(1.0, 101, dtype=torch.float64)).float())
    start = torch.randn(100, generator=generator())
    for scale in (1e-25, 1e25):
        found = spectrum(product, generator(), top=1, start=scale * start)
        assert float(found.top.values[0]) == pytest.approx(100, rel=1e-3)
