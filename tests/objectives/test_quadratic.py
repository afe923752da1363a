"""The quadratic: its Hessian has the eigenvalues it was asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from descend.errors import ConfigurationError
from descend.objectives.quadratic import Quadratic, draw_orthogonal


@given(
    dim=st.integers(2, 9), condition=st.floats(1, 1e6), rotation_seed=st.one_of(st.none(), st.integers(0, 2**31 - 1))
)
def test_eigenvalues_are_log_spaced_from_one_to_the_condition(dim: int, condition: float, rotation_seed: int) -> None:
    objective = Quadratic(dim=dim, condition=condition, rotation_seed=rotation_seed)
    x = torch.zeros(dim, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(objective.value, x)
    expected = np.geomspace(1, condition, dim)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian.numpy()), expected, rtol=1e-9, atol=1e-12 * condition)


def test_value_equals_the_matrix_form() -> None:
    objective = Quadratic(dim=5, condition=50.0, rotation_seed=3)
    q = objective.rotation
    assert q is not None
    matrix = q @ torch.diag(torch.tensor(np.geomspace(1, 50, 5))) @ q.T
    x = torch.linspace(-2, 3, 5, dtype=torch.float64)
    torch.testing.assert_close(objective.value(x), 0.5 * x @ matrix @ x, rtol=1e-12, atol=1e-12)


def test_rotation_is_orthogonal_and_belongs_to_its_seed() -> None:
    q = draw_orthogonal(7, seed=1)
    torch.testing.assert_close(q @ q.T, torch.eye(7, dtype=torch.float64), rtol=0, atol=1e-14)
    assert torch.equal(q, draw_orthogonal(7, seed=1))
    assert not torch.equal(q, draw_orthogonal(7, seed=2))


def test_rotation_prefers_no_direction() -> None:
    """The mean of 4,000 Haar matrices has entries of standard deviation 1/√(3·4000); QR without the signs is biased."""
    mean = torch.stack([draw_orthogonal(3, seed) for seed in range(4000)]).mean(dim=0)
    assert float(mean.abs().max()) < 5 / (3 * 4000) ** 0.5


def test_in_one_dimension_it_is_half_the_square() -> None:
    x = torch.tensor([3.0], dtype=torch.float64)
    assert Quadratic(dim=1, condition=100.0).value(x).item() == 4.5


def test_a_condition_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Quadratic\.condition is 0\.5, but it must be at least 1"):
        Quadratic(condition=0.5)
