"""Methods whose weights torchjd computes."""

import io
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


def test_cagrad_leaves_a_loss_without_a_gradient_out() -> None:
    """In the ball about the mean of all, no direction is better for the worst of the losses that can change."""
    rows = torch.cat([torch.zeros(1, 12, dtype=torch.float64), jacobian("conflicting", 3, 1.0)])
    mean = rows.mean(dim=0)
    λ = weights(CAGrad(c=0.5), rows)
    d = λ @ rows
    assert float((d - mean).norm()) <= 0.5 * float(mean.norm()) * (1 + 1e-5)
    offsets = torch.randn(2000, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ rows.T @ rows
    others = mean + 0.5 * mean.norm() * offsets / offsets.norm(dim=1, keepdim=True)
    assert float((rows[1:] @ d).min()) >= float((others @ rows[1:].T).amin(dim=1).max()) - 1e-6
    assert float(λ.min()) > 0  # so that the total is no smaller for what is left out


@pytest.mark.parametrize("rows", [[[0, 0], [0, 0]], [[1, 0], [-1, 0]], [[1, 0], [-1, 0], [0, 0]]])
def test_cagrad_rests_at_a_pareto_stationary_point_with_the_losses_in_its_total(rows: list[list[float]]) -> None:
    λ = weights(CAGrad(), torch.tensor(rows, dtype=torch.float64))
    assert float(λ.sum()) == pytest.approx(1)
    assert float((λ @ torch.tensor(rows, dtype=torch.float64)).norm()) < 1e-12


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


def test_nash_mtl_bargains_between_the_losses_that_have_gradients() -> None:
    rows = torch.cat([torch.zeros(1, 12, dtype=torch.float64), jacobian("random", 3, 1.0)])
    found = weights(NashMtl(max_norm=0.0), rows)
    torch.testing.assert_close(found[1:], weights(NashMtl(max_norm=0.0), rows[1:]), rtol=0, atol=0)
    assert float(found[0]) == 1


def test_nash_mtl_of_one_loss_that_has_a_gradient_has_a_step_of_length_1_or_less() -> None:
    """G λ = 1/λ of one loss is λ = 1/‖g‖."""
    rows = torch.tensor([[0, 0], [3, 4]], dtype=torch.float64)
    assert weights(NashMtl(max_norm=0.0), rows).tolist() == pytest.approx([1, 0.2])
    assert weights(NashMtl(max_norm=0.5), rows).tolist() == pytest.approx([1, 0.1])


def test_nash_mtl_answers_where_no_loss_has_a_gradient() -> None:
    aggregator = NashMtl()
    state = aggregator.init(LOSSES, NAMES) | {"solution": LOSSES}
    found, after = aggregator.weights(LOSSES, lambda: torch.zeros(3, 2, dtype=torch.float64), state)
    torch.testing.assert_close(found, LOSSES, rtol=0, atol=0)
    torch.testing.assert_close(after["solution"], LOSSES, rtol=0, atol=0)


ARGUMENTS: dict[str, dict[str, Any]] = {
    "CAGrad": {"c": 0.4},
    "CRMOGM": {"weighting": "MGDA"},
    "COSMOS": {"lambda_": 0.1, "weights": [0.2, 0.3, 0.5]},
    "Constant": {"weights": [0.2, 0.3, 0.5]},
    "FairGrad": {"alpha": 1.0},
    "Krum": {"n_byzantine": 0},
    "PBI": {"theta": 1.0, "weights": [0.2, 0.3, 0.5]},
    "STCH": {"mu": 0.5, "reference": [0.1, 0.1, 0.1]},
}


def theirs(name: str) -> Any:
    """The object of torchjd's own."""
    arguments = {
        key: torch.tensor(value, dtype=torch.float64) if isinstance(value, list) else value
        for key, value in ARGUMENTS.get(name, {}).items()
    }
    if "weighting" in arguments:
        arguments["weighting"] = getattr(aggregation, f"{arguments['weighting']}Weighting")()
    home = aggregation if hasattr(aggregation, name) else scalarization
    return (getattr(home, name, None) or getattr(aggregation, f"{name}Weighting"))(**arguments)


@pytest.mark.parametrize("name", sorted(find_methods()))
def test_every_name_works_as_torchjd_does_step_after_step(name: str) -> None:
    """What a method remembers goes through a file after every step, and a second run leaves no trace in the first."""
    ours, live = TorchJD(name, ARGUMENTS.get(name)), theirs(name)
    state = other = ours.init(LOSSES, NAMES)
    for step in range(6):
        rows, losses = jacobian("conflicting", 3, 1.0) + 0.1 * step, LOSSES / (1 + step)
        found, state = ours.weights(losses, lambda rows=rows: rows, state)
        _, other = ours.weights(losses, lambda rows=rows: 1 - rows, other)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        state = torch.load(buffer, weights_only=True)
        torch.manual_seed(step)
        if isinstance(live, aggregation.Aggregator):
            torch.testing.assert_close(found @ rows, live(rows), rtol=1e-8, atol=1e-8)
        elif isinstance(live, aggregation.Weighting):
            torch.testing.assert_close(found, live(rows @ rows.T), rtol=1e-12, atol=1e-12)
        else:
            leaf = losses.clone().requires_grad_()
            torch.testing.assert_close(found, torch.autograd.grad(live(leaf), leaf)[0])


def test_methods_that_draw_do_so_anew_at_each_step() -> None:
    aggregator = TorchJD("Random")
    first, state = aggregator.weights(LOSSES, lambda: LOSSES[:, None], aggregator.init(LOSSES, NAMES))
    second, _ = aggregator.weights(LOSSES, lambda: LOSSES[:, None], state)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("name", ["NashMTL", "FAMO", "UPGard", "Aggregator"])
def test_names_that_cannot_be_used_are_answered_with_those_that_can(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"TorchJD.name is {name!r}.* AlignedMTL, CAGrad.*; use one of these"):
        TorchJD(name)


@pytest.mark.parametrize("name", ["GradDrop", "TrimmedMean"])
def test_a_direction_that_is_no_sum_of_gradients_is_refused_as_such(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name}.*gradient of no weighted sum of losses; .*\.$"):
        TorchJD(name)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("Krum", {"n_byzantine": 1}, "should have at least 4 rows"),
        ("Krum", {"n_byzantine": 0, "n_selected": 4}, "should have at least 4 rows"),
        ("Constant", {"weights": [1.0, 2.0]}, "should have 2 rows"),
        ("AlignedMTL", {"pref_vector": [1.0, 2.0]}, "2"),
        ("COSMOS", {"lambda_": 0.1, "weights": [0.5, 0.5]}, ""),
    ],
)
def test_a_wrong_number_of_losses_is_told_before_the_first_step(
    name: str, arguments: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{name} with .* cannot combine 3 losses .a, b, c.: .*{sentence}"):
        TorchJD(name, arguments).init(LOSSES, NAMES)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("CAGrad", None), ("CAGrad", {"c": -1.0}), ("FairGrad", {"beta": 1.0}), ("CRMOGM", {"weighting": "MGD"})],
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
