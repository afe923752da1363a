"""Laws that the directions obey, over drawn integer Jacobians: dependent, opposed and zero rows occur."""

from random import Random

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.aligned_mtl import AlignedMtl
from descend.aggregators.complementarity import solve_complementarity
from descend.aggregators.dual_proj import DualProj
from descend.aggregators.imtl_g import ImtlG
from descend.aggregators.min_norm import MinNorm
from descend.aggregators.pcgrad import PCGrad
from descend.aggregators.upgrad import UPGrad

METHODS = st.sampled_from([MinNorm(), UPGrad(), DualProj(), ImtlG(), AlignedMtl(), PCGrad()])
NON_CONFLICTING = st.sampled_from([MinNorm(), UPGrad(), DualProj()])


@st.composite
def jacobians(draw: st.DrawFn, most: int = 5) -> Tensor:
    shape = (draw(st.integers(1, most)), draw(st.integers(1, 5)))
    rows = draw(arrays(np.float64, shape, elements=st.integers(-4, 4).map(float)))
    assume(bool(rows.any()))
    return torch.from_numpy(rows)


def weights(aggregator: Aggregator, rows: Tensor) -> Tensor:
    losses = torch.ones_like(rows[:, 0])
    return aggregator.weights(losses, lambda: rows, aggregator.init(losses, ("loss",) * len(rows)))[0]


def direction(aggregator: Aggregator, rows: Tensor) -> Tensor:
    return weights(aggregator, rows) @ rows


def well_conditioned(rows: Tensor) -> bool:
    return rows.shape[0] <= rows.shape[1] and float(torch.linalg.cond(rows)) < 100


@given(NON_CONFLICTING, jacobians())
def test_no_loss_is_increased(aggregator: Aggregator, rows: Tensor) -> None:
    assert float((rows @ direction(aggregator, rows)).min()) >= -1e-9


@given(st.sampled_from([MinNorm(), UPGrad(), DualProj(), AlignedMtl()]), jacobians(), st.randoms())
def test_the_order_of_the_losses_does_not_matter(aggregator: Aggregator, rows: Tensor, random: Random) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    # Squares of lengths are exact here; their roots lose half the digits at stationary points.
    torch.testing.assert_close(direction(aggregator, rows[order]), direction(aggregator, rows), rtol=1e-7, atol=1e-6)


@given(
    st.sampled_from([UPGrad(), PCGrad()]),
    jacobians(),
    st.lists(st.floats(0.1, 10), min_size=10, max_size=10),
)
def test_upgrad_and_pcgrad_are_linear_under_scaling(aggregator: Aggregator, rows: Tensor, factors: list[float]) -> None:
    m = len(rows)
    first, second = (torch.tensor(part, dtype=torch.float64)[:m, None] for part in (factors[:5], factors[5:]))
    together = direction(aggregator, (2 * first + 3 * second) * rows)
    apart = 2 * direction(aggregator, first * rows) + 3 * direction(aggregator, second * rows)
    torch.testing.assert_close(together, apart, rtol=1e-7, atol=1e-6)


@given(METHODS, jacobians(), st.floats(1e-4, 1e4))
def test_scaling_all_gradients_scales_the_direction(aggregator: Aggregator, rows: Tensor, factor: float) -> None:
    assume(not isinstance(aggregator, ImtlG) or well_conditioned(rows))
    expected = factor * direction(aggregator, rows)
    torch.testing.assert_close(direction(aggregator, factor * rows), expected, rtol=1e-7, atol=1e-6 * factor)


@given(jacobians())
def test_min_norm_is_the_nearest_point_of_the_hull(rows: Tensor) -> None:
    λ = weights(MinNorm(), rows)
    d = λ @ rows
    assert float(λ.min()) >= 0
    assert abs(float(λ.sum()) - 1) < 1e-12
    # d is nearest to 0 in the hull if and only if no gradient lies nearer along d.
    assert float((d @ d - rows @ d).max()) <= 1e-9


@given(jacobians())
def test_gradients_that_agree_are_only_averaged(rows: Tensor) -> None:
    rows = rows.abs()
    mean = rows.mean(dim=0)
    torch.testing.assert_close(direction(UPGrad(), rows), mean)
    torch.testing.assert_close(direction(DualProj(), rows), mean)
    torch.testing.assert_close(direction(PCGrad(), rows), rows.sum(dim=0))


@given(jacobians())
def test_imtl_g_is_impartial(rows: Tensor) -> None:
    assume(well_conditioned(rows))
    d = direction(ImtlG(), rows)
    shares = rows @ d / rows.norm(dim=1)
    torch.testing.assert_close(shares, shares[:1].expand_as(shares), rtol=1e-7, atol=1e-7)


@given(jacobians())
def test_aligned_mtl_brings_all_components_to_the_shortest(rows: Tensor) -> None:
    assume(well_conditioned(rows))
    left, singular, right = torch.linalg.svd(rows, full_matrices=False)
    mean = torch.full_like(rows[:, 0], 1 / len(rows))
    torch.testing.assert_close(direction(AlignedMtl(), rows), singular.min() * (mean @ left) @ right)


@settings(max_examples=300)
@given(jacobians(most=7), st.lists(st.integers(-4, 4), min_size=7, max_size=7))
def test_complementarity_holds_on_singular_matrices_too(rows: Tensor, preference: list[int]) -> None:
    matrix = rows @ rows.T
    offset = matrix @ torch.tensor(preference, dtype=torch.float64)[: len(rows), None]
    z = solve_complementarity(matrix, offset)
    slack = matrix @ z + offset
    assert float(z.min()) >= 0
    assert float(slack.min()) >= -1e-9
    assert float((z * slack).abs().max()) <= 1e-7
