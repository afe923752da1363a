"""Metrics of several losses, against numpy, scipy's quadratic minimiser and the run's own losses."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize
from torch import Tensor

from descend.aggregators.pcgrad import PCGrad
from descend.aggregators.sum import Sum
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.metrics.conflict import Conflict
from descend.metrics.loss_change import LossChange
from descend.metrics.pareto_stationarity import ParetoStationarity
from descend.objectives.cagrad_toy import CAGradToy
from descend.objectives.fonseca_fleming import FonsecaFleming
from descend.optimizers.sgd import SGD
from descend.types import Observation

Observe = Callable[..., Observation]
NAMES = ("a", "b", "c")
numbers = st.integers(-30, 30).map(lambda x: x / 10)
jacobians = arrays(np.float64, (3, 4), elements=numbers)


def seen(observe: Observe, jacobian: np.ndarray, weights: list[float] | None = None) -> Observation:
    rows = torch.from_numpy(jacobian)
    values = dict(zip(NAMES, rows.sum(dim=1).unbind(), strict=False))
    weights = weights or [1.0] * len(rows)
    λ = torch.tensor(weights, dtype=torch.float64)
    return observe(
        {"x": torch.ones(rows.shape[1], dtype=torch.float64)},
        losses=values,
        weights=λ,
        gradients={"x": λ @ rows},
        jacobian=lambda: rows,
    )


@pytest.fixture(scope="module")
def make(request: pytest.FixtureRequest) -> Observe:
    """Observe without a fixture of each test's own, so that hypothesis may repeat the test."""
    x = torch.ones(4, dtype=torch.float64)

    def observation(params, **given) -> Observation:  # type: ignore[no-untyped-def]
        fields = {
            "step": 0, "previous": {}, "previous_losses": {}, "update": None, "lr": 0.1, "gradients": {"x": x},
            "loss": None, "total": None, "evaluate": dict,
        }  # fmt: skip
        return Observation(**({"params": params} | fields | given))

    return observation


@given(jacobian=jacobians, weights=st.lists(st.floats(0, 4), min_size=3, max_size=3))
def test_conflict_is_what_numpy_says(make: Observe, jacobian: np.ndarray, weights: list[float]) -> None:
    found = {name: float(x) for name, x in Conflict()(seen(make, jacobian, weights)).items()}
    norms = np.linalg.norm(jacobian, axis=1)
    direction = np.array(weights) @ jacobian
    cosines = {}
    for (i, a), (j, b) in itertools.combinations(enumerate(NAMES), 2):
        product = norms[i] * norms[j]
        cosines[f"cosine/{a},{b}"] = jacobian[i] @ jacobian[j] / product if product else 0.0
    along = {}
    for i, name in enumerate(NAMES):
        product = norms[i] * np.linalg.norm(direction)
        along[f"direction_cosine/{name}"] = jacobian[i] @ direction / product if product else 0.0
    lengths = {f"loss_gradient/norm/{name}": norm for name, norm in zip(NAMES, norms, strict=True)}
    share = np.mean([jacobian[i] @ jacobian[j] < 0 for i, j in itertools.combinations(range(3), 2)])
    ratio = found.pop("loss_gradient/norm_ratio")
    assert found.pop("conflict/fraction") == pytest.approx(share)
    assert found == pytest.approx(cosines | along | lengths, rel=1e-9, abs=1e-9)
    if norms.min() > 0:
        assert ratio == pytest.approx(norms.max() / norms.min())


@given(jacobian=jacobians)
def test_pareto_stationarity_is_the_minimum_that_scipy_finds(make: Observe, jacobian: np.ndarray) -> None:
    found = ParetoStationarity()(seen(make, jacobian))
    least, relative = float(found["pareto/stationarity"]), float(found["pareto/relative_stationarity"])
    products = jacobian @ jacobian.T
    best = minimize(
        lambda w: w @ products @ w,
        np.full(3, 1 / 3),
        jac=lambda w: 2 * products @ w,
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-14, "maxiter": 200},
    )
    # A solver stops above the minimum, and here by about this much.
    assert least**2 <= best.fun + 1e-9
    assert least**2 == pytest.approx(max(best.fun, 0), rel=1e-4, abs=1e-5)
    shortest = np.linalg.norm(jacobian, axis=1).min()
    assert relative == pytest.approx(least / shortest if shortest else 0.0)
    assert relative <= 1 + 1e-12


def test_one_loss_has_nothing_to_compare(observe: Observe) -> None:
    one = observe({"x": torch.ones(3, dtype=torch.float64)})
    assert [metric(one) for metric in (Conflict(), ParetoStationarity(), LossChange())] == [{}, {}, {}]


def test_opposed_gradients_are_stationary_and_in_conflict(observe: Observe) -> None:
    opposed = seen(observe, np.array([[1.0, 2.0], [-3.0, -6.0]]))
    assert float(Conflict()(opposed)["cosine/a,b"]) == pytest.approx(-1)
    assert float(Conflict()(opposed)["conflict/fraction"]) == 1
    assert float(ParetoStationarity()(opposed)["pareto/stationarity"]) == pytest.approx(0, abs=1e-15)


METRICS = {"change": LossChange(), "conflict": Conflict(), "pareto": ParetoStationarity()}


@pytest.mark.filterwarnings("ignore:.*_prims_common.check:FutureWarning")  # torch's compiler, of torch
@pytest.mark.parametrize(("compile", "every"), [(False, 1), (True, 5)])
def test_changes_are_those_of_the_losses_of_a_run(compile: bool, every: int) -> None:
    run = Run(
        Experiment(FonsecaFleming(), SGD(lr=0.1), metrics={"change": LossChange(every)}, steps=24, compile=compile)
    )
    blocks = list(run)
    for name in ("f1", "f2"):
        steps, values = (
            np.concatenate(x) for x in zip(*(block.scalars[f"loss/{name}"] for block in blocks), strict=True)
        )
        changes = [block.scalars[f"loss_change/{name}"] for block in blocks if f"loss_change/{name}" in block.scalars]
        at, found = (np.concatenate(x) for x in zip(*changes, strict=True))
        assert at.tolist() == [step for step in range(25) if step % every == 0 or step == 24]
        expected = np.diff(values, prepend=values[0])[np.searchsorted(steps, at)]
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_looking_does_not_change_where_a_run_goes() -> None:
    """Neither where the aggregator needs the Jacobian, nor where the metrics alone do."""
    for aggregator in (Sum(), PCGrad()):
        ends = []
        for metrics in ({}, METRICS):
            run = Run(Experiment(CAGradToy(), SGD(lr=0.1), aggregator, metrics, steps=30, compile=False))
            list(run)
            ends.append(run.params["x"])
        assert torch.equal(*ends)


def test_a_step_whose_metrics_look_at_the_jacobian_evaluates_the_losses_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    values = CAGradToy.values

    def counted(self: CAGradToy, x: Tensor) -> tuple[Tensor, ...]:
        calls.append(0)
        return values(self, x)

    monkeypatch.setattr(CAGradToy, "values", counted)
    monkeypatch.setattr(CAGradToy, "batchable", False)  # a recorded step calls nothing
    run = Run(Experiment(CAGradToy(), SGD(lr=0.1), PCGrad(), METRICS, steps=5, compile=False))
    assert run.loop.backend.name == "python"
    iterator = iter(run)
    before = len(calls)
    next(iterator)
    assert len(calls) - before == run.loop.step
