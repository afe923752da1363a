"""Methods that weigh by the Gramian, against torchjd and scipy."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from gramians import every_gramian, jacobian
from scipy.optimize import nnls
from torch import Tensor
from torchjd.aggregation import (
    AlignedMTLWeighting,
    DualProjWeighting,
    IMTLGWeighting,
    MGDAWeighting,
    PCGradWeighting,
    UPGradWeighting,
)
from torchjd.linalg import QuadprogProjector

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.aligned_mtl import AlignedMtl
from descend.aggregators.dual_proj import DualProj
from descend.aggregators.gramian import gramian
from descend.aggregators.imtl_g import ImtlG
from descend.aggregators.min_norm import MinNorm, min_norm_weights
from descend.aggregators.pcgrad import PCGrad, pcgrad_weights
from descend.aggregators.upgrad import UPGrad
from descend.errors import ConfigurationError


def weights(aggregator: Aggregator, rows: Tensor) -> Tensor:
    losses = torch.ones_like(rows[:, 0])
    state = aggregator.init(losses, tuple(f"loss{i}" for i in range(len(rows))))
    return aggregator.weights(losses, lambda: rows, state)[0]


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-8 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (UPGrad(1e-4, 1e-4), UPGradWeighting()),
        (DualProj(1e-4, 1e-4), DualProjWeighting()),
        (UPGrad(0.0, 1e-7), UPGradWeighting(projector=QuadprogProjector(norm_eps=0.0, reg_eps=1e-7))),
        (DualProj(0.0, 1e-7), DualProjWeighting(projector=QuadprogProjector(norm_eps=0.0, reg_eps=1e-7))),
        (ImtlG(), IMTLGWeighting()),
        (AlignedMtl(), AlignedMTLWeighting()),
    ],
    ids=lambda x: type(x).__name__,
)
@every_gramian
def test_equals_torchjd(ours: Aggregator, theirs: Callable[[Tensor], Tensor], kind: str, m: int, scale: float) -> None:
    rows = jacobian(kind, m, scale)
    assert_equal(weights(ours, rows), theirs(rows @ rows.T))


@every_gramian
def test_pcgrad_equals_torchjd_in_the_same_orders(kind: str, m: int, scale: float) -> None:
    rows = jacobian(kind, m, scale)
    torch.manual_seed(m)
    expected = PCGradWeighting()(rows @ rows.T)
    torch.manual_seed(m)
    orders = torch.stack([torch.randperm(m) for _ in range(m)])
    assert_equal(pcgrad_weights(gramian(rows), orders), expected)


@every_gramian
def test_min_norm_finds_the_vector_that_nonnegative_least_squares_finds(kind: str, m: int, scale: float) -> None:
    # ‖Jᵀz‖² + c²(1ᵀz − 1)² over z ≥ 0 has its minimum on the ray through the simplex's.
    rows = jacobian(kind, m, scale)
    c = float(rows.norm(dim=1)[rows.norm(dim=1) > 0].min())
    z, _ = nnls(np.vstack([rows.numpy().T, np.full((1, m), c)]), np.append(np.zeros(12), c), maxiter=1000)
    expected = torch.from_numpy(z / z.sum()) @ rows
    found = weights(MinNorm(), rows)
    assert float(found.min()) >= 0
    assert float(found.sum()) == pytest.approx(1, abs=1e-12)
    # A length is the root of what the Gramian tells, which is known to about 1e-16 of the largest entry.
    assert float((found @ rows - expected).norm()) <= 1e-7 * float(rows.norm(dim=1).max())


@every_gramian
def test_min_norm_is_no_longer_than_torchjds(kind: str, m: int, scale: float) -> None:
    rows = jacobian(kind, m, scale)
    products = rows @ rows.T
    ours, theirs = weights(MinNorm(), rows), MGDAWeighting(epsilon=1e-9, max_iters=200)(products)
    assert float(ours @ products @ ours) <= float(theirs @ products @ theirs) + 1e-14 * float(products.max())


@pytest.mark.parametrize("kind", ["random", "conflicting", "uneven"])
@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
def test_min_norm_of_two_equals_torchjd(kind: str, scale: float) -> None:
    # With two losses one Frank–Wolfe step is exact; with more torchjd's come close only slowly.
    rows = jacobian(kind, 2, scale)
    assert_equal(weights(MinNorm(), rows), MGDAWeighting(epsilon=1e-12)(rows @ rows.T))


@pytest.mark.parametrize("m", [3, 5])
def test_torchjds_min_norm_comes_closer_to_ours_with_more_steps(m: int) -> None:
    rows = jacobian("conflicting", m, 1.0)
    products = rows @ rows.T
    ours = min_norm_weights(products)
    far, near = (float((MGDAWeighting(epsilon=1e-12, max_iters=steps)(products) - ours).norm()) for steps in (30, 3000))
    assert near < 0.1 * far
    assert near < 2e-3


def test_pcgrad_draws_every_order_equally_often_and_anew() -> None:
    seen: dict[tuple[float, ...], int] = {}
    products = torch.tensor([[1, -0.3, -0.4], [-0.3, 1, -0.45], [-0.4, -0.45, 1]], dtype=torch.float64)
    rows = torch.linalg.cholesky(products)
    aggregator, losses = PCGrad(seed=3), torch.ones(3, dtype=torch.float64)
    state = aggregator.init(losses, ("a", "b", "c"))
    for _ in range(800):
        found, state = aggregator.weights(losses, lambda: rows, state)
        outcome = tuple(round(x, 9) for x in found.tolist())
        seen[outcome] = seen.get(outcome, 0) + 1
    # Each of three gradients meets its two others in one of two orders: 8 outcomes, each expected 100 times.
    assert len(seen) == 8
    assert sum((count - 100) ** 2 / 100 for count in seen.values()) < 24.3  # χ² with 7 degrees of freedom, p = 0.001


def test_seeds_choose_the_orders() -> None:
    rows = jacobian("conflicting", 6, 1.0)
    assert not torch.equal(weights(PCGrad(seed=0), rows), weights(PCGrad(seed=1), rows))


@pytest.mark.parametrize("aggregator", [MinNorm(), UPGrad(), DualProj()], ids=lambda x: type(x).__name__)
def test_more_losses_than_faces_can_be_counted_are_refused(aggregator: Aggregator) -> None:
    losses = torch.ones(11, dtype=torch.float64)
    with pytest.raises(ConfigurationError, match=r"There are 11 losses, but .* at most 10"):
        aggregator.init(losses, tuple("abcdefghijk"))


@pytest.mark.parametrize("field", ["norm_eps", "reg_eps"])
@pytest.mark.parametrize("method", [UPGrad, DualProj])
def test_negative_regularisation_is_refused(method: type, field: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{field} is -1.0, but it must be at least 0"):
        method(**{field: -1.0})
