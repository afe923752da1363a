from collections.abc import Iterable

import pytest
import torch
from derivative_problems import Network, generator, layer_norm, quadratic, symmetric, with_spectrum
from scipy.stats import norm, wasserstein_distance
from torch import Tensor

from descend.derivatives import Density, HessianProduct, density, hessian, spectrum
from descend.derivatives.products import Product
from descend.derivatives.spectrum import Spectrum


def product_of(matrix: Tensor) -> HessianProduct:
    return HessianProduct(quadratic(matrix), {"x": torch.zeros(len(matrix), dtype=matrix.dtype)})


def test_a_complete_quadrature_has_the_eigenvalues_for_nodes() -> None:
    matrix = symmetric(12)
    found = density(product_of(matrix), generator(), probes=1)
    torch.testing.assert_close(found.nodes, torch.linalg.eigvalsh(matrix), rtol=0, atol=1e-12)
    assert float(found.weights.sum()) == pytest.approx(1)


def test_moments_are_those_of_the_spectrum() -> None:
    values = torch.linspace(-1, 3, 400).double()
    found = density(product_of(with_spectrum(values)), generator(), steps=20, probes=30)
    for power in range(1, 6):
        assert float((found.weights * found.nodes**power).sum()) == pytest.approx(
            float((values**power).mean()), rel=0.05, abs=0.03
        )


def test_the_quadrature_stays_right_after_orthogonality_is_lost() -> None:
    """300 steps on 2 outliers and a bulk: the recurrence finds the outliers many times over, and their weight once."""
    values = torch.cat([torch.linspace(0, 0.1, 398), torch.tensor([50.0, 80.0])]).double()
    found = density(product_of(with_spectrum(values)), generator(), steps=300, probes=40)
    copies = (found.nodes > 70).sum() / 40
    assert copies > 3
    assert float(found.weights[found.nodes > 70].sum()) == pytest.approx(1 / 400, rel=0.5)
    assert float(found.weights[found.nodes < 1].sum()) == pytest.approx(398 / 400, rel=2e-3)


def test_smoothing_is_a_mixture_of_gaussians() -> None:
    measure = Density(torch.tensor([0.0, 2.0]).double(), torch.tensor([0.25, 0.75]).double())
    grid = torch.linspace(-3, 5, 50).double()
    expected = 0.25 * norm.pdf(grid.numpy(), 0, 0.3) + 0.75 * norm.pdf(grid.numpy(), 2, 0.3)
    torch.testing.assert_close(measure.smoothed(grid, 0.3), torch.from_numpy(expected))


def test_four_probes_suffice_for_the_picture_of_a_networks_spectrum() -> None:
    network = Network(layer_norm)
    params = network.init()
    values = torch.linalg.eigvalsh(hessian(network.loss, params))
    grid, width = torch.linspace(-1, 2, 300).double(), 0.05
    exact = Density(values, torch.full_like(values, 1 / len(values))).smoothed(grid, width)
    found = density(HessianProduct(network.loss, params), generator(), steps=40, probes=4).smoothed(grid, width)
    assert float((found - exact).abs().sum() * (grid[1] - grid[0])) < 0.15


def test_invariant_subspaces_end_the_recurrence() -> None:
    found = density(product_of(3 * torch.eye(50).double()), generator(), steps=20, probes=2)
    torch.testing.assert_close(found.nodes, torch.tensor([3.0, 3.0]).double())
    zero = density(product_of(torch.zeros(50, 50)), generator(), steps=20, probes=1)
    assert zero.nodes.tolist() == [0]


def test_what_is_not_finite_has_nan_for_nodes() -> None:
    assert density(product_of(torch.full((10, 10), torch.nan)), generator(), probes=1).nodes.isnan().all()


def test_starts_side_by_side_end_each_by_itself() -> None:
    """Of the signs (a, b, c), those with a = b are eigenvectors of 1; the others see -1 with weight 2/3, and 1."""
    matrix = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]]).double()
    found = density(product_of(matrix), generator(), probes=40)
    odd = int((found.nodes < 0).sum())
    assert 0 < odd < 40
    assert len(found.nodes) == 40 + odd
    torch.testing.assert_close(found.nodes.abs(), torch.ones_like(found.nodes))
    assert float(found.weights[found.nodes < 0].sum()) == pytest.approx(odd / 40 * 2 / 3)
    assert float(found.weights.sum()) == pytest.approx(1)


def outliers_and_bulk() -> Tensor:
    return torch.cat([torch.linspace(-0.1, 1, 390), torch.linspace(20, 80, 10)]).double()


def distances(values: Tensor, product: Product, known: Spectrum | None, seeds: Iterable[int]) -> list[float]:
    """Wasserstein's distance from the true measure, for each seed."""
    found = [density(product, generator(seed), steps=30, probes=2, known=known) for seed in seeds]
    return [wasserstein_distance(values, each.nodes, None, each.weights) for each in found]


def test_what_is_known_is_left_to_no_chance() -> None:
    values = outliers_and_bulk()
    product = product_of(with_spectrum(values))
    known = spectrum(product, generator(), top=10)
    found = density(product, generator(1), steps=60, probes=2, known=known)
    assert int((found.nodes > 10).sum()) == 10  # no start has spent a node on them
    assert float(found.weights.sum()) == pytest.approx(1)
    assert float(found.weights[found.nodes > 10].sum()) == pytest.approx(10 / 400, rel=1e-6)
    plain, sharper = (distances(values, product, each, range(20)) for each in (None, known))
    assert max(sharper) < sum(plain) / 20 / 4


def test_the_mean_over_starts_is_the_density_with_and_without_what_is_known() -> None:
    """Moments of the bulk, of which a basis that has not converged holds a part."""
    values = outliers_and_bulk()
    product = product_of(with_spectrum(values))
    for known in (None, spectrum(product, generator(), top=3, most=20)):
        found = density(product, generator(2), steps=60, probes=400, known=known)
        bulk = found.nodes < 10
        for power in range(4):
            moment = float((found.weights[bulk] * found.nodes[bulk] ** power).sum())
            assert moment == pytest.approx(float((values[:390] ** power).sum() / 400), rel=5e-3)


def test_a_complete_basis_is_the_density() -> None:
    matrix = symmetric(12)
    product = product_of(matrix)
    found = density(product, generator(), known=spectrum(product, generator(), top=1))
    torch.testing.assert_close(found.nodes, torch.linalg.eigvalsh(matrix), rtol=0, atol=1e-12)
    assert found.weights.tolist() == [1 / 12] * 12


@pytest.mark.parametrize("scale", [1e-25, 1e21])
def test_where_squares_leave_the_range_of_float32_the_nodes_do_not(scale: float) -> None:
    """A complete quadrature of a matrix with four eigenvalues has them for nodes."""
    diagonal = torch.tensor([1.0, 2.0, 3.0, 4.0])
    product = HessianProduct(lambda p: scale * (diagonal * p["x"] ** 2).sum() / 2, {"x": torch.ones(4)})
    found = density(product, generator(), probes=1)
    torch.testing.assert_close(found.nodes / scale, diagonal.double(), rtol=1e-5, atol=0)
