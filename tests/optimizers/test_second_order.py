"""Methods of a direction and a search, or of a model and a region: their laws, and scipy beside them."""

import itertools
import statistics
from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import descend
from descend.derivatives import gradient, hessian, jacobian, value_and_gradient
from descend.derivatives.columns import jacobian_by_columns
from descend.engine.backends.graph import GraphBackend
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.curve_fit import CurveFit
from descend.objectives.rosenbrock import Rosenbrock
from descend.optimizers.bfgs import BFGS, updated
from descend.optimizers.cubic import Cubic
from descend.optimizers.dogleg import Dogleg
from descend.optimizers.gauss_newton import DampedGaussNewton
from descend.optimizers.lbfgs import LBFGS, two_loops
from descend.optimizers.levenberg_marquardt import LevenbergMarquardt
from descend.optimizers.newton import Newton
from descend.optimizers.newton_cg import NewtonCG
from descend.optimizers.nonlinear_cg import NonlinearCG
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.parts.hessian_region import HessianRegion
from descend.optimizers.parts.spectrum import by_dogleg, with_cubic, within_radius
from descend.optimizers.parts.wolfe import SUFFICIENT, cubic_minimiser
from descend.optimizers.trust_region import TrustRegion
from descend.optimizers.trust_region_cg import TrustRegionCG
from descend.types import Loss, Params, State

METHODS = [BFGS(), LBFGS(), NonlinearCG(), Newton(), NewtonCG(), TrustRegion(), TrustRegionCG(), Dogleg(), Cubic()]
every = pytest.mark.parametrize("optimizer", METHODS, ids=lambda x: type(x).__name__)
seeds = st.integers(0, 2**31)
QUIET = ["metrics=none", "derivatives=none", "compile=false"]


def vector(*entries: float) -> Params:
    return {"x": torch.tensor(entries, dtype=torch.float64)}


def rosenbrock(params: Params) -> Tensor:
    x = params["x"]
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def himmelblau(params: Params) -> Tensor:
    x, y = params["x"].unbind()
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def quadratic(seed: int, n: int, condition: float = 100.0) -> tuple[Loss, Tensor]:
    """A convex quadratic, and its minimiser."""
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    matrix = (q * torch.logspace(0, float(np.log10(condition)), n, dtype=torch.float64)) @ q.T
    best = torch.randn(n, generator=generator, dtype=torch.float64)
    return lambda params: (params["x"] - best) @ matrix @ (params["x"] - best) / 2, best


def follow(optimizer: Optimizer, loss: Loss, params: Params, count: int) -> list[tuple[Params, State]]:
    """What steps return, taken without a graph, as the engine takes them."""
    path, state = [], optimizer.init(params)
    with torch.no_grad():
        for _ in range(count):
            params, state = optimizer.step(params, gradient(loss, params), state, loss)
            path.append((params, state))
    return path


# Laws


@every
@settings(max_examples=10, deadline=None)
@given(x=st.floats(-4, 4), y=st.floats(-4, 4))
def test_where_a_run_stands_never_rises(optimizer: Optimizer, x: float, y: float) -> None:
    found = [optimizer.reported_values(state) for _, state in follow(optimizer, himmelblau, vector(x, y), 25)]
    assert found[0][0] == himmelblau(vector(x, y))
    for (before, _), (after, _) in itertools.pairwise(found):
        assert after <= before * (1 + 1e-12)


@every
def test_what_a_run_is_judged_by_is_true_of_the_point_reported(optimizer: Optimizer) -> None:
    for params, state in follow(optimizer, rosenbrock, vector(-1.2, 1.0, 0.5), 20):
        value, slope = value_and_gradient(rosenbrock, optimizer.reported(params, state))
        torch.testing.assert_close(optimizer.reported_values(state), (value, slope["x"].norm()), rtol=1e-12, atol=0.0)


@every
def test_a_point_whose_gradient_is_not_finite_is_not_taken(optimizer: Optimizer) -> None:
    """Beyond 0.887 the exponential overflows: the value is finite and lower there, and autograd's gradient is NaN."""

    def overflowing(params: Params) -> Tensor:
        return ((params["x"] - 1) ** 2 + 1 / (1 + (800 * params["x"]).exp())).sum()

    found = [optimizer.reported_values(state) for _, state in follow(optimizer, overflowing, vector(-1.0), 60)]
    assert all(bool(value.isfinite() and slope.isfinite()) for value, slope in found)
    assert found[-1][0] < 0.05 < found[0][0]


@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_bfgs_needs_about_n_lines_for_a_quadratic(seed: int) -> None:
    """With exact searches it ends in n (Nocedal & Wright, theorem 6.4); those of Wolfe cost a few more."""
    loss, best = quadratic(seed, 6)
    state = follow(BFGS(), loss, vector(*[0.0] * 6), 30)[-1][1]
    torch.testing.assert_close(state["standing"], best, rtol=1e-6, atol=1e-6)


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_lbfgs_that_remembers_all_steps_is_bfgs(seed: int) -> None:
    """The two loops from yᵀs / yᵀy · I, and the matrix that starts there (Nocedal & Wright, section 7.2)."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randn(4, 7, generator=generator, dtype=torch.float64)
    changes = steps + 0.3 * torch.randn(4, 7, generator=generator, dtype=torch.float64)
    changes *= torch.sign((steps * changes).sum(1, keepdim=True))
    slope = torch.randn(7, generator=generator, dtype=torch.float64)
    matrix = torch.eye(7, dtype=torch.float64) * (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y in zip(steps, changes, strict=True):
        left = torch.eye(7, dtype=torch.float64) - torch.outer(s, y) / (s @ y)
        own, matrix = updated(matrix, s, y), left @ matrix @ left.T + torch.outer(s, s) / (s @ y)
        torch.testing.assert_close(own, matrix, rtol=1e-9, atol=1e-9)
    padded = torch.cat([torch.zeros(3, 7, dtype=torch.float64), steps])
    pairs = padded, torch.cat([torch.zeros(3, 7, dtype=torch.float64), changes])
    torch.testing.assert_close(two_loops(*pairs, slope), matrix @ slope, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6])
def test_lbfgs_learns_of_small_functions_too(scale: float) -> None:
    """An absolute bound on yᵀs stops torch's L-BFGS on the first of these."""
    state = follow(LBFGS(), lambda params: scale * rosenbrock(params), vector(-1.2, 1.0), 120)[-1][1]
    torch.testing.assert_close(state["standing"], torch.ones(2, dtype=torch.float64), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@every
def test_a_run_that_has_arrived_stays_there(optimizer: Optimizer, dtype: torch.dtype) -> None:
    loss, best = quadratic(3, 3, 10.0)
    own = {"x": torch.zeros(3, dtype=dtype)}
    state = follow(optimizer, lambda params: loss({"x": params["x"].double()}).to(dtype), own, 60)[-1][1]
    torch.testing.assert_close(state["standing"].double(), best, rtol=1e-3, atol=1e-3)
    assert state["slope"] < (1e-3 if dtype == torch.float32 else 1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=seeds, radius=st.floats(1e-3, 1e3), hard=st.booleans())
def test_the_step_in_a_region_is_its_minimiser(seed: int, radius: float, hard: bool) -> None:
    """The conditions of Moré & Sorensen: (λ + μ) p = −g with μ ≥ 0, −λ₁, and μ = 0 or ‖p‖ = Δ."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(5, generator=generator, dtype=torch.float64).sort().values
    slopes = torch.randn(5, generator=generator, dtype=torch.float64)
    slopes[0] = 0.0 if hard else slopes[0]
    found = within_radius(values, slopes, torch.tensor(radius, dtype=torch.float64))
    length = found.norm()
    assert length <= radius * (1 + 1e-9)
    shift = ((-slopes / found) - values)[1:].mean()
    torch.testing.assert_close((values + shift) * found, -slopes, rtol=1e-6, atol=1e-7 * radius)
    assert shift >= max(0.0, float(-values[0])) - 1e-6
    assert abs(float(shift)) < 1e-6 or abs(float(length) / radius - 1) < 1e-9


@settings(max_examples=25, deadline=None)
@given(seed=seeds, radius=st.floats(1e-2, 1e2))
def test_the_cubic_step_is_stationary_and_the_dogleg_is_inside(seed: int, radius: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(5, generator=generator, dtype=torch.float64).sort().values
    slopes, bound = torch.randn(5, generator=generator, dtype=torch.float64), torch.tensor(radius, dtype=torch.float64)
    found = with_cubic(values, slopes, bound)
    torch.testing.assert_close(slopes + values * found + found.norm() * found / bound, 0 * slopes, rtol=0, atol=1e-7)
    path = by_dogleg(values, slopes, bound)
    assert path.norm() <= radius * (1 + 1e-12)
    cauchy = -slopes * (slopes @ slopes) / (values.abs() * slopes * slopes).sum()
    cauchy = cauchy * min(1.0, radius / float(cauchy.norm()))

    def model(p: Tensor) -> Tensor:
        return slopes @ p + (values.abs() * p * p).sum() / 2

    assert model(path) <= model(cauchy) + 1e-12


def test_the_cubic_minimiser_is_that_of_numpy() -> None:
    cubic = np.polynomial.Polynomial([1.0, -2.0, 0.5, 0.7])
    ends = [
        torch.tensor(float(f(t)), dtype=torch.float64) for t in (0.1, 2.0) for f in (lambda t: t, cubic, cubic.deriv())
    ]
    [lowest] = [float(root) for root in cubic.deriv().roots() if cubic.deriv(2)(root) > 0]
    assert abs(float(cubic_minimiser(*ends)) - lowest) < 1e-12


@pytest.mark.parametrize("optimizer", [BFGS(), LBFGS(), NonlinearCG(), Newton()], ids=lambda x: type(x).__name__)
def test_every_line_ends_at_a_point_of_the_strong_wolfe_conditions(optimizer: Optimizer) -> None:
    path = follow(optimizer, rosenbrock, vector(-1.2, 1.0, 0.3), 40)
    ends = 0
    for (trial, before), (_, after) in itertools.pairwise(path):
        line = before["search"]
        if torch.equal(after["point"], before["point"]) or not line["descent"] < 0:
            continue
        ends += 1
        value, slope = value_and_gradient(rosenbrock, trial)
        assert value <= line["value"] + SUFFICIENT * line["length"] * line["descent"] + 1e-12 * line["value"]
        assert (slope["x"] @ before["direction"]).abs() <= optimizer.flatness * line["descent"].abs()  # type: ignore[attr-defined]
    assert ends > 10


def test_a_saddle_where_the_gradient_is_zero_is_left() -> None:
    def saddle(params: Params) -> Tensor:
        x, y = params["x"].unbind()
        return x**2 - y**2 + y**4

    for optimizer in (TrustRegion(), Cubic()):
        state = follow(optimizer, saddle, vector(0.0, 0.0), 30)[-1][1]
        torch.testing.assert_close(state["standing"].abs(), torch.tensor([0.0, 0.5**0.5], dtype=torch.float64))


# Beside scipy


def of_scipy(method: str, start: np.ndarray) -> int:
    """The evaluations up to the first gradient of at most 1e-6."""
    count, first = 0, 0

    def both(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal count, first
        count += 1
        value, slope = value_and_gradient(rosenbrock, vector(*x))
        first = first or count * int(slope["x"].norm() <= 1e-6)
        return float(value), slope["x"].numpy()

    own = {"hess": lambda x: hessian(rosenbrock, vector(*x)).numpy()} if method.startswith("trust") else {}
    tight = {"L-BFGS-B": {"gtol": 1e-7, "ftol": 0.0}}.get(method, {"gtol": 1e-7})
    scipy.optimize.minimize(both, start, method=method, jac=True, options=tight, **own)
    return first


@pytest.mark.parametrize(
    ("method", "peer"),
    [("bfgs", "BFGS"), ("lbfgs", "L-BFGS-B"), ("trust_region", "trust-exact"), ("trust_region_cg", "trust-ncg")],
)
def test_it_needs_no_more_evaluations_than_scipy(method: str, peer: str) -> None:
    """From 20 drawn starts, in one stacked sweep."""
    drawn = ",".join(map(str, range(20)))
    overrides = ["objective=rosenbrock", "objective.random_start=true", f"optimizer={method}", f"seed={drawn}"]
    table = descend.sweep([*overrides, "stop.gradient_norm=1e-6", "steps=300", *QUIET])
    assert set(table["status"]) == {"converged"}
    assert (table["value"] < 1e-10).all()
    assert (table["gradient_norm"] <= 1e-6).all()
    assert table["evaluations.function"].to_list() == (table["steps"] + 1).to_list()
    starts = [Rosenbrock(random_start=True).init(torch.Generator().manual_seed(seed))["x"] for seed in range(20)]
    theirs = statistics.median(of_scipy(peer, start.numpy()) for start in starts)
    assert statistics.median(table["evaluations.function"].to_list()) <= 1.1 * theirs


# What is evaluated, and where a run ends


@pytest.mark.parametrize("method", ["bfgs", "lbfgs", "newton", "trust_region", "trust_region_cg"])
def test_a_step_evaluates_the_function_once(method: str) -> None:
    """The recorded step has one exponential: that of the engine's own evaluation."""
    overrides = ["objective=expression", "objective.formula='exp(x)+x**4'", f"optimizer={method}", "steps=3", *QUIET]
    backend = Run(build(compose(overrides), overrides)).loop.backend
    assert isinstance(backend, GraphBackend)
    targets = [str(node.target) for node in backend.program.step(()).graph.graph.nodes]
    assert sum(target.startswith("aten.exp.") for target in targets) == 1


def test_a_trial_that_is_not_finite_does_not_end_a_run() -> None:
    """From 30 a first step of length 1,000 goes to where exp overflows."""
    own = ["objective=expression", "objective.formula='exp(x)-x'", "objective.start={x: -30.0}", "steps=60", *QUIET]
    for method in ("bfgs", "trust_region"):
        result = descend.run([*own, f"optimizer={method}", "optimizer.lr=1000"])
        assert result.status == "finished", result.reason
        assert result.value == pytest.approx(1.0, abs=1e-9)


def test_the_value_recorded_is_that_of_the_point_where_the_run_stands() -> None:
    overrides = ["objective=rosenbrock", "optimizer=bfgs", "steps=25", *QUIET]
    result = descend.run(overrides)
    values = result.records.filter(name="value").sort("step")["value"].to_list()
    assert values == sorted(values, reverse=True)
    assert values[-1] == result.value == result.best_value
    assert rosenbrock({"x": torch.tensor(result.parameters["x"], dtype=torch.float64)}) == result.value  # type: ignore[index]


@pytest.mark.parametrize("overrides", [["optimizer=bfgs", "wrap=ema"], ["optimizer=trust_region", "wrap=lookahead"]])
def test_it_cannot_be_wrapped(overrides: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be wrapped in .* set wrap=none"):
        descend.run(["objective=rosenbrock", *overrides, *QUIET])


# Sums of squares

# NIST's Rat42 (Ratkowsky 1983), with its certified parameters, standard errors and residual standard deviation.
CERTIFIED = {"b1": (7.2462237576e01, 1.7340283401e00), "b2": (2.6180768402e00, 8.8295217536e-02)}
CERTIFIED |= {"b3": (6.7359200066e-02, 3.4465663377e-03)}
DEVIATION = 1.1587725499e00
STARTS = ["{b1: 100, b2: 1, b3: 0.1}", "{b1: 75, b2: 2.5, b3: 0.07}"]


@pytest.mark.parametrize(
    ("method", "start"),
    [("levenberg_marquardt", STARTS[0]), ("levenberg_marquardt", STARTS[1]), ("gauss_newton", STARTS[1])],
)
def test_rat42(method: str, start: str) -> None:
    chosen = ["objective=curve_fit", f"objective.start={start}", f"optimizer={method}", "steps=60"]
    result = descend.run([*chosen, "derivatives=none", "compile=false"])
    assert result.parameters is not None
    for name, (value, error) in CERTIFIED.items():
        assert result.parameters[name] == pytest.approx(value, rel=1e-9)
        assert result.metrics[f"standard_error_{name}"] == pytest.approx(error, rel=1e-8)
    assert result.metrics["residual_standard_deviation"] == pytest.approx(DEVIATION, rel=1e-9)


def fit() -> CurveFit:
    x = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    return CurveFit("a * exp(-b * x)", {"y": [2.1, 1.4, 0.9, 0.5, 0.4, 0.2], "x": x}, {"a": 1.0, "b": 0.1})


class WithResiduals:
    """A fit as the engine hands it to a step."""

    def __call__(self, params: Params) -> Tensor:
        return fit().losses(params, None)["value"]

    def residuals(self, params: Params) -> Tensor:
        return fit().residuals(params, None)


def test_levenberg_marquardt_in_a_wide_region_is_gauss_newton() -> None:
    """Where the damping is 0."""
    start = {name: torch.tensor(value, dtype=torch.float64) for name, value in {"a": 2.0, "b": 0.9}.items()}
    own, other = (follow(x, WithResiduals(), start, 1)[0][0] for x in (LevenbergMarquardt(lr=1e6), DampedGaussNewton()))
    torch.testing.assert_close(own, other, rtol=1e-10, atol=1e-12)
    narrow = follow(LevenbergMarquardt(lr=1e-6), WithResiduals(), start, 1)[0][0]
    rows = jacobian(WithResiduals().residuals, start)
    moved = torch.stack([narrow[name] - start[name] for name in start])
    descent = -(rows.T @ WithResiduals().residuals(start)) / (rows * rows).sum(0)  # D⁻² times the gradient's half
    torch.testing.assert_close(moved / moved.norm(), descent / descent.norm(), rtol=1e-4, atol=1e-4)


def test_levenberg_marquardt_does_not_know_the_units_of_the_parameters() -> None:
    def run(unit: float) -> list[float]:
        objective = CurveFit(f"a * exp(-b * {unit} * x)", fit().columns, {"a": 1.0, "b": 0.1 / unit})
        result = descend.run(descend.Experiment(objective, LevenbergMarquardt(), steps=12, compile=False))
        return result.records.filter(name="value").sort("step")["value"].to_list()

    np.testing.assert_allclose(run(1e6), run(1.0), rtol=1e-6)


@pytest.mark.parametrize("f", [lambda p: p["x"].sin() * p["y"].sum(), lambda p: p["y"].exp() + p["x"].prod()])
def test_columns_of_the_jacobian_are_those_of_its_rows(f: Callable[[Params], Tensor]) -> None:
    params = vector(0.3, -1.0, 2.0) | {"y": torch.tensor([0.5, 0.7, -0.2], dtype=torch.float64)}
    values, columns = jacobian_by_columns(f, params)
    torch.testing.assert_close(columns, jacobian(f, params))
    assert torch.equal(values, f(params))


def test_a_loss_that_is_no_sum_of_squares_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"needs a sum of squares, but Ackley.*trust_region"):
        descend.run(["objective=ackley", "optimizer=levenberg_marquardt", *QUIET])
    with pytest.raises(ConfigurationError, match="Mean"):
        descend.run(["objective=curve_fit", "optimizer=gauss_newton", "aggregator=mean", *QUIET])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"response": "z"}, r"columns y: 6, x: 6 rows.*one of them must be 'z'"),
        ({"columns": {"y": [1.0], "x": [1.0, 2.0]}}, "the same number of rows"),
        ({"start": {"x": 1.0}}, "'x' is a parameter and a column"),
        ({"start": {}}, "start names no parameter"),
        ({"columns": {"y": ["a"], "x": [1.0]}}, "a value that is not a number"),
        ({"formula": "a * exp(-c * x)"}, "unknown name 'c'"),
    ],
)
def test_a_wrong_fit_is_refused(changed: dict, message: str) -> None:
    fields = {"formula": "a * x", "columns": fit().columns, "start": {"a": 1.0}, "response": "y"}
    with pytest.raises(ConfigurationError, match=message):
        CurveFit(**{**fields, **changed})


@pytest.mark.parametrize("method", [TrustRegion, Dogleg, Cubic])
def test_unit_free_regions_are_blind_to_units(method: type[HessianRegion]) -> None:
    """The steps of f(x) and of f(D y), y = x / D, are the same; powers of two round nothing but in eigenvectors."""
    units = torch.tensor([2.0**10, 2.0**-12, 4.0], dtype=torch.float64)

    def f(params: Params) -> Tensor:
        x = params["x"]
        return (x[0] ** 2 - x[1]) ** 2 + (x[0] - 1) ** 2 + (x[2] - x[1]) ** 4 + 0.1 * x[2] ** 2

    start = torch.tensor([1.5, -0.5, 2.0], dtype=torch.float64)
    optimizer = method(lr=0.1, unit_free=True)
    plain = reported(optimizer, {"x": start}, f)
    other = reported(optimizer, {"x": start / units}, lambda params: f({"x": params["x"] * units}))
    for one, two in zip(plain, other, strict=True):
        torch.testing.assert_close(two["x"] * units, one["x"], rtol=1e-6, atol=1e-9)
    assert f(plain[-1]) < f(plain[0])


def reported(optimizer: HessianRegion, params: Params, f: Callable[[Params], Tensor]) -> list[Params]:
    """Return where a run of 15 steps stands after each."""
    state, path = optimizer.init(params), []
    for _ in range(15):
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        gradients = dict(zip(leaves, torch.autograd.grad(f(leaves), tuple(leaves.values())), strict=True))
        with torch.no_grad():
            params, state = optimizer.step(params, gradients, state, f)
        path.append(optimizer.reported(params, state))
    return path


@pytest.mark.parametrize("method", ["lbfgs", "newton_cg", "nonlinear_cg", "trust_region_cg"])
def test_batches_that_change_are_refused(method: str) -> None:
    """A search would compare the loss of one batch with that of another."""
    own = ["objective=digits_mlp_small", f"optimizer={method}", "steps=3", *QUIET[:2]]
    with pytest.raises(ConfigurationError, match=r"draws another batch at each step.*objective\.batch_size=null"):
        descend.run(own)
    assert descend.run([*own, "objective.batch_size=null"]).status == "finished"


def test_batches_that_change_are_refused_in_a_sweep_too() -> None:
    own = ["objective=digits_mlp_small", "steps=3", "seed=0,1", *QUIET[:2]]
    with pytest.raises(ConfigurationError, match="draws another batch at each step"):
        descend.sweep([*own, "optimizer=lbfgs"])
    one_by_one = descend.sweep([*own, "optimizer=newton_cg"])
    assert one_by_one["status"].to_list() == ["failed", "failed"]
    assert "draws another batch at each step" in one_by_one["reason"][0]
