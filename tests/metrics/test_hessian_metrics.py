"""Curvature metrics against torch.autograd.functional.hessian and numpy.linalg."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from descend.errors import ConfigurationError
from descend.metrics.hessian_exact import FEW, LARGEST, HessianExact
from descend.metrics.hessian_extremes import HessianExtremes
from descend.types import Observation, Params


def curved(params: Params) -> torch.Tensor:
    """A function with a dense Hessian of both signs."""
    x, y = params["x"], params["y"]
    return torch.sin(x).sum() * torch.cos(y).sum() + (x**3).sum() + (y.sum() ** 2) * x.mean()


def point(n: int, seed: int = 0) -> Params:
    generator = torch.Generator().manual_seed(seed)
    return {"x": torch.randn(n - 2, generator=generator, dtype=torch.float64), "y": torch.ones(2, dtype=torch.float64)}


def reference(params: Params) -> np.ndarray:
    """Eigenvalues, largest first, of torch's own Hessian of the flattened function."""
    flat = torch.cat(list(params.values()))
    n = len(params["x"])
    matrix = torch.autograd.functional.hessian(lambda v: curved({"x": v[:n], "y": v[n:]}), flat)
    return np.linalg.eigvalsh(matrix.numpy())[::-1]


@pytest.mark.parametrize("n", [3, FEW, FEW + 1])
def test_every_number_of_the_whole_spectrum(observe: Callable[..., Observation], n: int) -> None:
    params = point(n)
    values = HessianExact()(observe(params, curved))
    expected = reference(params)
    shown = n if n <= FEW else 10
    found = [float(values.pop(f"hessian/eigenvalue/{i}")) for i in range(shown)]
    np.testing.assert_allclose(found, expected[:shown], rtol=1e-10, atol=1e-12)
    histogram = values.pop("hessian/histogram", None)
    assert (histogram is None) == (n <= FEW)
    if histogram is not None:
        assert int(histogram[1].sum()) == n
    sizes = np.abs(expected)
    summary = {
        "hessian/smallest": expected[-1],
        "hessian/trace": expected.sum(),
        "hessian/condition": sizes.max() / sizes.min(),
        "hessian/negative_eigenvalues": (expected < 0).sum(),
    }
    assert list(values) == list(summary)
    np.testing.assert_allclose([float(x) for x in values.values()], list(summary.values()), rtol=1e-8)
    assert summary["hessian/negative_eigenvalues"] > 0


def test_rounding_is_not_negative_curvature(observe: Callable[..., Observation]) -> None:
    """(Σx)⁴ has one direction of curvature; the other eigenvalues are zero but for rounding of either sign."""
    values = HessianExact()(observe({"x": torch.full((9,), 0.3, dtype=torch.float64)}, lambda p: p["x"].sum() ** 4))
    assert int(values["hessian/negative_eigenvalues"]) == 0
    assert float(values["hessian/eigenvalue/0"]) == pytest.approx(12 * 2.7**2 * 9)


def test_a_hessian_that_is_not_finite_gives_nan_and_no_error(observe: Callable[..., Observation]) -> None:
    values = HessianExact()(observe({"x": torch.tensor([1.0, torch.inf])}, lambda p: (p["x"] ** 3).sum()))
    assert all(value.isnan() for value in values.values())


def test_beyond_its_size_the_whole_hessian_is_left_to_products(observe: Callable[..., Observation]) -> None:
    n = LARGEST + 1
    assert [HessianExact().applies(point(size)) for size in (LARGEST, n)] == [True, False]
    assert [HessianExtremes().applies(point(size)) for size in (LARGEST, n)] == [False, True]
    values = HessianExtremes(top=3, tolerance=1e-6)(observe(point(n), curved))
    expected = reference(point(n))
    assert list(values) == [*(f"hessian/eigenvalue/{i}" for i in range(3)), "hessian/smallest"]
    np.testing.assert_allclose([float(x) for x in values.values()], [*expected[:3], expected[-1]], rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"top": 0}, {"tolerance": 0.0}])
def test_out_of_range(wrong: dict) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        HessianExtremes(**wrong)
