"""Histograms on the device against numpy.histogram."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from descend.errors import ConfigurationError
from descend.metrics.histogram import GradientHistogram, Histogram, ParameterHistogram, UpdateHistogram, histogram
from descend.types import Observation

SPECIAL = [np.nan, np.inf, -np.inf]


def naive(values: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Right edges and counts by numpy."""
    counts, edges = np.histogram(values[np.isfinite(values)], bins)
    return edges[1:], counts


# 101 is prime and more than any range drawn, so that no value but the extremes lies on an edge, where rounding decides.
@given(arrays(np.int64, st.integers(1, 60), elements=st.integers(-50, 50)), st.sampled_from([1, 101]))
def test_counts_and_edges_are_those_of_numpy(whole: np.ndarray, bins: int) -> None:
    values = whole * np.sqrt(2)
    assume(np.ptp(values) > 0)
    rights, counts = histogram(torch.from_numpy(values), bins).numpy()
    expected_rights, expected_counts = naive(values, bins)
    np.testing.assert_allclose(rights, expected_rights, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(counts, expected_counts)


def test_a_large_sample() -> None:
    values = torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rights, counts = histogram(values.view(100, 1000), 64).numpy()
    expected_rights, expected_counts = naive(values.numpy(), 64)
    np.testing.assert_allclose(rights, expected_rights, atol=1e-13)
    np.testing.assert_array_equal(counts, expected_counts)


def test_what_is_not_finite_is_left_out() -> None:
    rights, counts = histogram(torch.tensor([*SPECIAL, 1.0, 2.0, 3.0]), 4)
    assert rights.tolist() == [1.5, 2.0, 2.5, 3.0]
    assert counts.tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize("values", [SPECIAL, [np.nan]])
def test_nothing_finite_gives_empty_bins(values: list[float]) -> None:
    rights, counts = histogram(torch.tensor(values), 4)
    assert rights.isfinite().all()
    assert (rights.diff() > 0).all()
    assert counts.sum() == 0


@pytest.mark.parametrize("constant", [0.0, -0.3, 1.0, 1e20, -3e30, 1e-30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_lies_in_the_middle(constant: float, dtype: torch.dtype) -> None:
    rights, counts = histogram(torch.full((7,), constant, dtype=dtype), 5)
    assert counts.tolist() == [0, 0, 7, 0, 0]
    assert (rights.diff() > 0).all()


def test_the_widest_range_does_not_overflow() -> None:
    rights, counts = histogram(torch.tensor([-3e38, 0.1e38, 3e38]), 4)
    assert rights.isfinite().all()
    assert counts.tolist() == [1, 0, 1, 1]


def test_each_kind_looks_at_its_own_tensors(observe: Callable[..., Observation]) -> None:
    params = {"x": torch.arange(4.0)}
    seen = observe(params, gradients={"x": torch.arange(4.0) * 10}, update={"x": torch.arange(4.0) * 100})
    kinds: dict[str, Callable[..., Histogram]] = {
        "parameter": ParameterHistogram,
        "gradient": GradientHistogram,
        "update": UpdateHistogram,
    }
    for scale, (group, kind) in zip([1, 10, 100], kinds.items(), strict=True):
        values = kind(bins=3)(seen)
        assert list(values) == [f"{group}/histogram/x"]
        assert values[f"{group}/histogram/x"].tolist() == [[scale, 2 * scale, 3 * scale], [1, 1, 2]]


def test_no_bins_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="bins is 0, but it must be at least 1"):
        ParameterHistogram(bins=0)
