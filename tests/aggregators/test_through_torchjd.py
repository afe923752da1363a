"""Methods whose weights torchjd computes."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from gramians import every_gramian, jacobian
from torch import Tensor
from torchjd import aggregation, scalarization

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.cagrad import CAGrad
from descend.aggregators.nash_mtl import NashMtl
from descend.aggregators.torchjd_aggregator import TorchJD, find_methods
from descend.errors import ConfigurationError

LOSSES = torch.tensor([1.5, 0.3, 2.0], dtype=torch.float64)
NAMES = ("a", "b", "c")


def weights(aggregator: Aggregator, rows: Tensor, losses: Tensor | None = None) -> Tensor:
    losses = torch.ones_like(rows[:, 0]) if losses is None else losses
    return aggregator.weights(losses, lambda: rows, aggregator.init(losses, NAMES))[0]


def test_cagrad_improves_the_worst_loss_as_no_other_direction_near_the_mean_does() -> None:
    rows = jacobian("conflicting", 3, 1.0)
    mean = rows.mean(dim=0)
    d = weights(CAGrad(c=0.5), rows) @ rows
    assert float((d - mean).norm()) <= 0.5 * float(mean.norm()) * (1 + 1e-5)
    offsets = torch.randn(2000, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ rows.T @ rows
    others = mean + 0.5 * mean.norm() * offsets / offsets.norm(dim=1, keepdim=True)
    assert float((rows @ d).min()) >= float((others @ rows.T).amin(dim=1).max()) - 1e-6


def test_cagrad_without_a_ball_is_the_mean() -> None:
    rows = jacobian("conflicting", 4, 1.0)
    torch.testing.assert_close(weights(CAGrad(c=0.0), rows), torch.full((4,), 0.25, dtype=torch.float64))


@every_gramian
def test_cagrad_always_answers(kind: str, m: int, scale: float) -> None:
    assert torch.isfinite(weights(CAGrad(), jacobian(kind, m, scale))).all()


@pytest.mark.parametrize("kind", ["random", "conflicting"])
@pytest.mark.parametrize("m", [2, 3, 5])
def test_nash_mtl_solves_the_bargaining_equation(kind: str, m: int) -> None:
    rows = jacobian(kind, m, 1.0)
    λ = weights(NashMtl(max_norm=0.0), rows)
    gains = (rows @ rows.T @ λ) * λ
    assert float(λ.min()) > 0
    torch.testing.assert_close(gains, gains.mean().expand(m), rtol=1e-6, atol=0)


def test_nash_mtl_cuts_the_direction() -> None:
    rows = jacobian("random", 3, 100.0)
    assert float((weights(NashMtl(max_norm=0.5), rows) @ rows).norm()) == pytest.approx(0.5)


# cvxpy's about the way torchjd states its problem, which ours silences.
@pytest.mark.filterwarnings("ignore:You are solving a parameterized problem that is not DPP:UserWarning")
def test_nash_mtl_follows_torchjd_and_keeps_runs_apart() -> None:
    ours, theirs = NashMtl(), aggregation.NashMTL(3)
    state = other = ours.init(LOSSES, NAMES)
    for m in range(5):
        rows = jacobian("conflicting", 3, 1.0) + 0.1 * m
        found, state = ours.weights(LOSSES, lambda rows=rows: rows, state)
        torch.testing.assert_close(found, theirs.weighting(rows), rtol=1e-8, atol=1e-8)
        # A second run through the same object must leave no trace in the first.
        _, other = ours.weights(LOSSES, lambda rows=rows: 1 - rows, other)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "CAGrad": {"c": 0.4},
    "COSMOS": {"lambda_": 0.1, "weights": [0.2, 0.3, 0.5]},
    "Constant": {"weights": [0.2, 0.3, 0.5]},
    "FairGrad": {"alpha": 1.0},
    "Krum": {"n_byzantine": 0},
    "PBI": {"theta": 1.0, "weights": [0.2, 0.3, 0.5]},
    "STCH": {"mu": 0.5, "reference": [0.1, 0.1, 0.1]},
}


@pytest.mark.parametrize("name", sorted(find_methods()))
def test_every_name_works(name: str) -> None:
    rows = jacobian("conflicting", 3, 1.0)
    found = weights(TorchJD(name, ARGUMENTS.get(name)), rows, LOSSES)
    arguments = {
        key: torch.tensor(value, dtype=torch.float64) if isinstance(value, list) else value
        for key, value in ARGUMENTS.get(name, {}).items()
    }
    torch.manual_seed(0)
    if hasattr(aggregation, name):
        direction = getattr(aggregation, name)(**arguments)(rows)
        torch.testing.assert_close(found @ rows, direction, rtol=1e-8, atol=1e-8)
    else:
        leaf = LOSSES.clone().requires_grad_()
        expected = torch.autograd.grad(getattr(scalarization, name)(**arguments)(leaf), leaf)[0]
        torch.testing.assert_close(found, expected)


def test_methods_that_draw_do_so_anew_at_each_step() -> None:
    aggregator = TorchJD("Random")
    first, state = aggregator.weights(LOSSES, lambda: LOSSES[:, None], aggregator.init(LOSSES, NAMES))
    second, _ = aggregator.weights(LOSSES, lambda: LOSSES[:, None], state)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["NashMTL", "GradVac", "FAMO", "GradDrop", "UPGard"])
def test_names_that_cannot_be_used_are_answered_with_those_that_can(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"TorchJD.name is {name!r}.* AlignedMTL, CAGrad.*; use one of these"):
        TorchJD(name)


@pytest.mark.parametrize(
    ("name", "arguments"), [("CAGrad", None), ("CAGrad", {"c": -1.0}), ("FairGrad", {"beta": 1.0})]
)
def test_wrong_arguments_are_told(name: str, arguments: dict[str, Any] | None) -> None:
    with pytest.raises(ConfigurationError, match=rf"torchjd's {name} refused its arguments .*aggregator\.arguments"):
        TorchJD(name, arguments)


@pytest.mark.parametrize(("build", "choice"), [(CAGrad, "cagrad"), (NashMtl, "nash_mtl"), (TorchJD, "torchjd")])
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, build: Callable[[], Aggregator], choice: str
) -> None:
    for module in ("torchjd", "torchjd.aggregation", "torchjd.scalarization"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigurationError, match=rf"aggregator={choice} .*pip install 'descend\[torchjd\]'"):
        build()
