"""What a trial changed: the sizes that stop.xtol and stop.ftol bound."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

import descend
from descend.derivatives import gradient
from descend.errors import ConfigurationError
from descend.optimizers.bfgs import BFGS
from descend.optimizers.cubic import Cubic
from descend.optimizers.newton import Newton
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.trust_region import TrustRegion
from descend.types import Params, State

QUIET = ["metrics=none", "derivatives=none", "compile=false", "steps=100"]
RAT42 = {"b1": 72.462237576, "b2": 2.6180768402, "b3": 0.067359200066}
"""NIST's certified parameters of conf/objective/curve_fit.yaml, to 11 digits."""


def valley(params: Params) -> Tensor:
    x = params["x"]
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + 3


def follow(optimizer: Optimizer, count: int) -> list[tuple[Params, State, State]]:
    """The trial of each step and the states around it."""
    params = {"x": torch.tensor([-1.2, 1.0], dtype=torch.float64)}
    path, state = [], optimizer.init(params)
    with torch.no_grad():
        for _ in range(count):
            trial, before = params, state
            params, state = optimizer.step(trial, gradient(valley, trial), before, valley)
            path.append((trial, before, state))
    return path


def sizes(optimizer: Optimizer, trial: Params, before: State, after: State) -> tuple[float, float]:
    found = optimizer.changes(trial, valley(trial), before, after)
    return float(found["xtol"]), float(found["ftol"])


@pytest.mark.parametrize("optimizer", [TrustRegion(), Cubic()], ids=lambda x: type(x).__name__)
def test_of_a_region_each_trial_is_held_against_where_the_run_stood(optimizer: Optimizer) -> None:
    first, *path = follow(optimizer, 30)
    assert sizes(optimizer, *first) == (math.inf, math.inf)
    for trial, before, after in path:
        new, old = trial["x"].numpy(), before["standing"].numpy()
        change, promised = abs(float(valley(trial)) - float(before["level"])), float(before["promised"])
        expected = [abs(a - b) / max(abs(a), abs(b)) if a != b else 0.0 for a, b in zip(new, old, strict=True)]
        share = max(change, promised) / max(float(valley(trial)), float(before["level"]))
        assert sizes(optimizer, trial, before, after) == pytest.approx((max(expected), share), rel=1e-14)


@pytest.mark.parametrize("optimizer", [BFGS(), Newton()], ids=lambda x: type(x).__name__)
def test_of_a_line_only_the_point_that_was_taken_tells(optimizer: Optimizer) -> None:
    told = 0
    for trial, before, after in follow(optimizer, 60):
        moved = bool((after["point"] != before["point"]).any())
        x, f = sizes(optimizer, trial, before, after)
        assert math.isfinite(x) == math.isfinite(f)
        if moved:
            new, old = after["point"].numpy(), before["point"].numpy()
            assert x == pytest.approx(np.max(np.abs(new - old) / np.maximum(np.abs(new), np.abs(old))), rel=1e-14)
            told += 1
        else:
            assert x in (0.0, math.inf)
    assert 10 < told < 60


def test_a_trial_that_is_not_finite_tells_nothing() -> None:
    optimizer = TrustRegion()
    _, before, after = follow(optimizer, 3)[-1]
    for bad in (math.nan, math.inf):
        trial = {"x": torch.tensor([bad, 1.0], dtype=torch.float64)}
        assert sizes(optimizer, trial, before, after) == (math.inf, math.inf)


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "gauss_newton", "trust_region", "newton"])
def test_a_fit_ends_with_as_many_digits_as_xtol_asks_for(optimizer: str) -> None:
    """Where such methods converge, each step is far shorter than the one before it."""
    found = descend.run(["objective=curve_fit", f"optimizer={optimizer}", "stop.xtol=1e-8", *QUIET])
    assert (found.status, found.steps < 50) == ("converged", True)
    assert "relative change of the parameters" in found.reason
    assert found.parameters == pytest.approx(RAT42, rel=1e-9)


@pytest.mark.parametrize("optimizer", ["levenberg_marquardt", "gauss_newton", "trust_region", "newton"])
def test_the_sum_of_squares_is_as_flat_as_ftol_asks_for(optimizer: str) -> None:
    found = descend.run(["objective=curve_fit", f"optimizer={optimizer}", "stop.ftol=1e-8", *QUIET])
    assert (found.status, found.steps < 50) == ("converged", True)
    assert found.value == pytest.approx(8.0565229338, rel=1e-8)  # NIST's residual sum of squares


def test_parameters_of_other_units_end_at_the_same_step() -> None:
    own = ["objective=curve_fit", "optimizer=levenberg_marquardt", "stop.xtol=1e-6", *QUIET]
    metres = descend.run(own)
    units = [
        "objective.formula='1e-6 * b1 / (1 + exp(b2 - 1e6 * b3 * x))'",
        "objective.start={b1: 1e8, b2: 1, b3: 1e-7}",
    ]
    assert descend.run([*own, *units]).steps == metres.steps < 20


def test_methods_whose_steps_have_the_length_of_a_rate_are_refused() -> None:
    for rule in ("xtol", "ftol"):
        with pytest.raises(ConfigurationError, match=rf"stop\.{rule} is given, but Adam tries no points.*stop.plateau"):
            descend.run(["objective=rosenbrock", "optimizer=adam", f"stop.{rule}=1e-8", *QUIET])
