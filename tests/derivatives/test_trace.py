import math

import pytest
import torch
from derivative_problems import generator, quadratic, symmetric, with_spectrum
from torch import Tensor

from descend.derivatives import HessianProduct, moments, spectrum
from descend.errors import ConfigurationError


def product_of(matrix: Tensor) -> HessianProduct:
    return HessianProduct(quadratic(matrix), {"x": torch.zeros(len(matrix), dtype=matrix.dtype)})


def outlying(size: int) -> Tensor:
    return torch.cat([torch.linspace(-0.01, 0.1, size - 3), torch.tensor([9.0, 7.0, 4.0])]).double()


def test_a_complete_basis_leaves_nothing_to_estimate() -> None:
    matrix = symmetric(20)
    product = product_of(matrix)
    found = moments(product, generator(), known=spectrum(product, generator(), top=1))
    assert found.trace.error == found.squared_norm.error == 0
    assert found.trace.value == pytest.approx(float(matrix.trace()), abs=1e-11)
    assert found.squared_norm.value == pytest.approx(float(matrix.square().sum()), rel=1e-12)


def test_diagonal_matrices_have_an_exact_hutchinson_estimate() -> None:
    """zᵀDz = Σ d_i z_i² does not depend on the signs."""
    found = moments(product_of(torch.arange(100.0).double().diag()), generator(), probes=2)
    assert found.trace.value == pytest.approx(4950)
    assert found.trace.error == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("products", [0, 3, 300])
def test_estimates_are_unbiased_and_their_errors_honest(products: int) -> None:
    values = outlying(200)
    product = product_of(with_spectrum(values))
    known = spectrum(product, generator(), top=3, most=products) if products else None
    estimates = [moments(product, generator(seed), probes=8, known=known) for seed in range(200)]
    for true, found in (
        (values.sum(), [estimate.trace for estimate in estimates]),
        (values.square().sum(), [estimate.squared_norm for estimate in estimates]),
    ):
        sample = torch.tensor([estimate.value for estimate in found], dtype=torch.float64)
        claimed = torch.tensor([estimate.error for estimate in found], dtype=torch.float64).square().mean().sqrt()
        assert abs(sample.mean() - true) < 4 * sample.std() / math.sqrt(200)
        assert 0.75 < claimed / sample.std() < 1.25


def test_what_is_known_of_the_spectrum_makes_the_trace_sharper_for_as_many_products() -> None:
    values = outlying(300)
    product = product_of(with_spectrum(values))
    known = spectrum(product, generator(), top=3)
    deflated = moments(product, generator(), probes=5, known=known)
    plain = moments(product, generator(), probes=5 + len(known.basis))
    assert deflated.trace.error < plain.trace.error / 5
    assert deflated.squared_norm.error < plain.squared_norm.error / 5


def test_one_probe_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match="at least 2"):
        moments(product_of(symmetric(3)), generator(), probes=1)


@pytest.mark.parametrize("scale", [1e-25, 1e21])
def test_where_squares_leave_the_range_of_float32_the_estimates_do_not(scale: float) -> None:
    """A diagonal matrix, of which each probe gives trace and norm exactly."""
    diagonal = torch.arange(1.0, 101)
    product = HessianProduct(lambda p: scale * (diagonal * p["x"] ** 2).sum() / 2, {"x": torch.ones(100)})
    found = moments(product, generator())
    assert found.trace.value == pytest.approx(5050 * scale, rel=1e-6)
    assert found.squared_norm.value == pytest.approx(338350 * scale**2, rel=1e-6)
