"""Methods whose weights torchjd computes."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
from descend.engine.experiment import Experiment
from descend.engine.run import run
from descend.errors import ConfigurationError
from descend.graph.chance import mixed
from descend.metrics.conflict import Conflict
from descend.metrics.decrease import Decrease
from descend.metrics.derivative_norms import DerivativeNorms
from descend.metrics.gradient_norm import GradientNorm
from descend.metrics.metric import Metric
from descend.metrics.weighted_losses import WeightedLosses
from descend.objectives.objective import Objective
from descend.optimizers.gradient_descent import GradientDescent
from descend.types import Losses, Params

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
        found, state = ours.weights(LOSSES, partial(torch.clone, rows), state)
        torch.testing.assert_close(found, theirs.weighting(rows), rtol=1e-8, atol=1e-8)
        # A second run through the same object must leave no trace in the first.
        _, other = ours.weights(LOSSES, partial(torch.rsub, rows, 1), other)


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
    "GradDrop": {"leak": [0.0, 0.5, 1.0]},
    "Krum": {"n_byzantine": 0},
    "PBI": {"theta": 1.0, "weights": [0.2, 0.3, 0.5]},
    "TrimmedMean": {"trim_number": 1},
    "STCH": {"mu": 0.5, "reference": [0.1, 0.1, 0.1]},
}


DIRECTED = ("GradDrop", "TrimmedMean")


@dataclass(frozen=True)
class Three(Objective):
    """Three parabolas that pull apart."""

    def init(self, generator: Any) -> Params:
        return {"x": torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)}

    def losses(self, params: Params, batch: None) -> Losses:
        x = params["x"]
        return {"a": ((x - 1) ** 2).sum(), "b": (3 * (x + 1) ** 2).sum(), "c": (x**4).sum() + x[0]}


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
        combine = ours.weights if ours.weighs else ours.direction
        found, state = combine(losses, partial(torch.clone, rows), state)
        _, other = combine(losses, partial(torch.rsub, rows, 1), other)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        buffer.seek(0)
        state = torch.load(buffer, weights_only=True)
        torch.manual_seed(mixed(0, step))
        if not ours.weighs:
            assert torch.equal(found, live(rows))
        elif isinstance(live, aggregation.Aggregator):
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


def test_what_is_drawn_is_the_runs_own() -> None:
    """The start is the same for every seed: where they end apart, the draws do it."""

    def ended(seed: int) -> float:
        experiment = Experiment(
            Three(), GradientDescent(lr=0.05), TorchJD("Random"), steps=3, seed=seed, dtype="float64"
        )
        return run(experiment).value

    assert ended(0) == ended(0)
    assert ended(0) != ended(1)


@pytest.mark.parametrize("name", ["NashMTL", "FAMO", "UPGard", "Aggregator"])
def test_names_that_cannot_be_used_are_answered_with_those_that_can(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"TorchJD.name is {name!r}.* AlignedMTL, CAGrad.*; use one of these"):
        TorchJD(name)


@pytest.mark.parametrize(("name", "arguments"), [("GradDrop", None), *((n, ARGUMENTS[n]) for n in DIRECTED)])
def test_a_run_goes_where_torchjds_own_direction_leads(name: str, arguments: dict[str, Any] | None) -> None:
    """Thirty steps of gradient descent on two tasks and a penalty, against torchjd's aggregator in a loop by hand."""
    aggregator = TorchJD(name, arguments)
    observed = {"norm": GradientNorm(every=1), "weights": WeightedLosses(every=1), "conflict": Conflict(every=1)}
    found = run(Experiment(Three(), GradientDescent(lr=0.05), aggregator, observed, steps=30, dtype="float64"))
    x, live = Three().init(None)["x"], theirs(name) if arguments else aggregation.GradDrop()
    for step in range(30):
        leaf = x.clone().requires_grad_()
        rows = torch.stack([torch.autograd.grad(loss, leaf)[0] for loss in Three().losses({"x": leaf}, None).values()])
        torch.manual_seed(mixed(0, step))
        x = x - 0.05 * live(rows)
    assert (found.parameters or {})["x"] == pytest.approx(x.tolist(), rel=1e-12)
    assert found.value == pytest.approx(sum(found.losses.values()), rel=1e-14)
    shown = found.records.filter(step=0)
    assert shown.filter(name="weight/a")["value"].item() == 1.0
    assert -1 <= shown.filter(name="direction_cosine/a")["value"].item() <= 1
    torch.manual_seed(mixed(0, 30))
    leaf = x.clone().requires_grad_()
    rows = torch.stack([torch.autograd.grad(loss, leaf)[0] for loss in Three().losses({"x": leaf}, None).values()])
    assert found.gradient_norm == pytest.approx(float(live(rows).norm()), rel=1e-9)


@pytest.mark.parametrize("name", DIRECTED)
def test_what_is_foreseen_of_a_step_is_by_the_gradient_not_the_direction(name: str) -> None:
    metrics: dict[str, Metric] = {"decrease": Decrease(every=1), "norms": DerivativeNorms(every=1, order=2)}
    experiment = Experiment(
        Three(), GradientDescent(lr=1e-6), TorchJD(name, ARGUMENTS[name]), metrics, steps=1, dtype="float64"
    )
    shown = {row["name"]: row["value"] for row in run(experiment).records.filter(step=0).iter_rows(named=True)}
    assert shown["decrease/order_1"] == pytest.approx(shown["decrease/actual"], rel=1e-4)
    leaf = Three().init(None)["x"].requires_grad_()
    gradient = torch.autograd.grad(torch.stack(list(Three().losses({"x": leaf}, None).values())).sum(), leaf)[0]
    assert shown["derivative/norm/1"] == pytest.approx(float(gradient.norm()), rel=1e-12)


def test_a_direction_is_nan_where_a_gradient_is() -> None:
    rows = torch.tensor([[1.0, torch.nan], [1.0, 2.0], [0.0, 1.0]], dtype=torch.float64)
    aggregator = TorchJD("TrimmedMean", {"trim_number": 1})
    direction, _ = aggregator.direction(LOSSES, lambda: rows, aggregator.init(LOSSES, NAMES))
    assert direction.isnan().all()
    assert direction.shape == (2,)


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("Krum", {"n_byzantine": 1}, "should have at least 4 rows"),
        ("Krum", {"n_byzantine": 0, "n_selected": 4}, "should have at least 4 rows"),
        ("Constant", {"weights": [1.0, 2.0]}, "should have 2 rows"),
        ("AlignedMTL", {"pref_vector": [1.0, 2.0]}, "2"),
        ("COSMOS", {"lambda_": 0.1, "weights": [0.5, 0.5]}, ""),
        ("TrimmedMean", {"trim_number": 2}, "at least 5 rows"),
        ("GradDrop", {"leak": [0.0, 1.0]}, "exactly 2 rows"),
        ("GradDrop", {"f": "half"}, "'str' object is not callable"),
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
