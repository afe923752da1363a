"""Methods that weigh by the losses' values or learn their weights, against torchjd or a twin of autograd and Adam."""

from collections.abc import Callable, Iterator

import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchjd import aggregation, scalarization

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.dwa import Dwa
from descend.aggregators.famo import Famo
from descend.aggregators.geometric_mean import GeometricMean
from descend.aggregators.gradnorm import GradNorm
from descend.aggregators.random import Random
from descend.aggregators.uncertainty import Uncertainty
from descend.errors import ConfigurationError

NAMES = ("a", "b", "c")
STEPS = 60


def falling(steps: int = STEPS) -> list[Tensor]:
    """Positive losses, each falling at its own rate with some noise."""
    noise = torch.rand(steps, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rates = torch.tensor([0.01, 0.05, 0.1], dtype=torch.float64)
    times = torch.arange(steps, dtype=torch.float64)[:, None]
    return list(torch.tensor([3.0, 0.5, 40.0], dtype=torch.float64) * (-rates * times).exp() * (0.8 + 0.4 * noise))


def unavailable() -> Tensor:
    raise AssertionError("the Jacobian was asked for")


def follow(
    aggregator: Aggregator, losses: list[Tensor], jacobian: Callable[[], Tensor] = unavailable
) -> Iterator[Tensor]:
    state = aggregator.init(losses[0], NAMES)
    for values in losses:
        weights, state = aggregator.weights(values, jacobian, state)
        yield weights


def gradient(scalarizer: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    leaf = values.clone().requires_grad_()
    return torch.autograd.grad(scalarizer(leaf), leaf)[0]


def test_geometric_mean_equals_torchjd() -> None:
    theirs = scalarization.GeometricMean()
    for values, weights in zip(falling(), follow(GeometricMean(), falling()), strict=True):
        torch.testing.assert_close(weights, gradient(theirs, values), rtol=1e-12, atol=0)


@pytest.mark.parametrize("temperature", [0.5, 2.0])
@pytest.mark.parametrize("window", [1, 7])
def test_dwa_equals_torchjd_with_a_window_as_epoch(temperature: float, window: int) -> None:
    theirs = scalarization.DWA(temperature)
    ours = follow(Dwa(temperature, window), falling())
    for i, (values, weights) in enumerate(zip(falling(), ours, strict=True)):
        torch.testing.assert_close(weights, gradient(theirs, values), rtol=1e-12, atol=1e-14)
        if (i + 1) % window == 0:
            theirs.step()


@pytest.mark.parametrize("weight_decay", [0.0, 1e-3])
def test_famo_equals_torchjd_on_the_whole_data(weight_decay: float) -> None:
    theirs = scalarization.FAMO(3, lr=0.025, weight_decay=weight_decay).double()
    losses = falling()
    ours = follow(Famo(lr=0.025, weight_decay=weight_decay), losses)
    for values, after, weights in zip(losses, [*losses[1:], losses[-1]], ours, strict=True):
        torch.testing.assert_close(weights, gradient(theirs, values), rtol=1e-9, atol=1e-12)
        theirs.update(after)


def test_uncertainty_equals_torchjd_learned_by_torchs_adam() -> None:
    theirs = scalarization.UW(3).double()
    adam = torch.optim.Adam(theirs.parameters(), lr=0.05)
    for values, weights in zip(falling(), follow(Uncertainty(lr=0.05), falling()), strict=True):
        torch.testing.assert_close(weights, gradient(theirs, values), rtol=1e-9, atol=1e-12)
        adam.zero_grad()
        theirs(values).backward()
        adam.step()


@pytest.mark.parametrize("alpha", [0.0, 0.12, 1.5])
def test_gradnorm_equals_its_equations_under_autograd(alpha: float) -> None:
    rows = torch.randn(3, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)
    adam = torch.optim.Adam([weight], lr=0.025)
    start = falling()[0]
    for values, found in zip(falling(), follow(GradNorm(alpha), falling(), lambda: rows), strict=True):
        torch.testing.assert_close(found, weight.detach(), rtol=1e-9, atol=1e-12)
        lengths = torch.stack([torch.linalg.vector_norm(weight[i] * rows[i]) for i in range(3)])
        rate = (values / start) / (values / start).mean()
        target = (lengths.mean() * rate**alpha).detach()
        adam.zero_grad()
        (lengths - target).abs().sum().backward()
        adam.step()
        with torch.no_grad():
            weight *= 3 / weight.sum()


def test_gradnorm_evens_out_gradients_where_rates_are_equal() -> None:
    rows = torch.diag(torch.tensor([1.0, 10.0, 0.2], dtype=torch.float64))
    losses = [torch.ones(3, dtype=torch.float64)] * 2000
    *_, weights = follow(GradNorm(lr=0.01), losses, lambda: rows)
    lengths = weights * rows.diagonal()
    torch.testing.assert_close(lengths, lengths.mean().expand(3), rtol=0.1, atol=0)


def test_random_weights_are_distributed_like_torchjds() -> None:
    losses = torch.ones(4, dtype=torch.float64)
    aggregator = Random(seed=1)
    state, ours = aggregator.init(losses, NAMES), []
    for _ in range(1500):
        weights, state = aggregator.weights(losses, unavailable, state)
        assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
        ours.append(weights)
    torch.manual_seed(0)
    theirs = [aggregation.RandomWeighting()(torch.ones(4, 1, dtype=torch.float64)) for _ in range(1500)]
    found, expected = torch.stack(ours), torch.stack(theirs)
    for i in range(4):
        assert ks_2samp(found[:, i], expected[:, i]).pvalue > 1e-3
    # Neither neighbours in a step nor steps that follow each other are related: |r| < 4/√1500.
    pairs = torch.corrcoef(torch.stack([found[1:, 0], found[:-1, 0], found[1:, 1], expected[1:, 0]]))
    assert abs(float(pairs[0, 1])) < 0.1
    # The weights of one step add up to 1, so that two of four have the correlation −1/3.
    assert float(pairs[0, 2]) == pytest.approx(-1 / 3, abs=0.1)


def test_seeds_choose_the_random_weights() -> None:
    losses = [torch.ones(3, dtype=torch.float64)] * 2
    (first, second), (other, _) = (list(follow(Random(seed), losses)) for seed in (0, 1))
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: Dwa(temperature=0.0), "temperature"),
        (lambda: Dwa(window=0), "window"),
        (lambda: Famo(lr=-1.0), "lr"),
        (lambda: Famo(weight_decay=-1.0), "weight_decay"),
        (lambda: Uncertainty(lr=0.0), "lr"),
        (lambda: GradNorm(alpha=-0.5), "alpha"),
        (lambda: GradNorm(lr=0.0), "lr"),
        (lambda: Random(seed=-1), "seed"),
    ],
)
def test_values_out_of_range_are_refused(build: Callable[[], Aggregator], field: str) -> None:
    with pytest.raises(ConfigurationError, match=field):
        build()
