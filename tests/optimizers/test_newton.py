"""The laws of Newton's method, with the whole Hessian and by products: what it does on a quadratic, near and far."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import descend
from descend.derivatives import gradient, value_and_gradient
from descend.errors import ConfigurationError
from descend.optimizers.newton import Newton
from descend.optimizers.newton_cg import NewtonCG, truncated_cg
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params

EXACT = NewtonCG(forcing=0.0)
BOTH = pytest.mark.parametrize("optimizer", [Newton(), EXACT], ids=lambda x: type(x).__name__)
seeds = st.integers(0, 2**31)


def vector(*entries: float) -> Params:
    return {"x": torch.tensor(entries, dtype=torch.float64)}


def steps(optimizer: Optimizer, loss: Loss, params: Params, count: int) -> list[Params]:
    """The points tried by 0, 1, …, `count` steps, taken without a graph, as the engine takes them."""
    path, state = [params], optimizer.init(params)
    with torch.no_grad():
        for _ in range(count):
            params, state = optimizer.step(params, gradient(loss, params), state, loss)
            path.append(params)
    return path


def levels(optimizer: Optimizer, loss: Loss, params: Params, count: int) -> list[float]:
    """The values at which a run stands after 1, 2, …, `count` steps."""
    found, state = [], optimizer.init(params)
    with torch.no_grad():
        for _ in range(count):
            params, state = optimizer.step(params, gradient(loss, params), state, loss)
            found.append(float(optimizer.reported_values(state)[0]))
            assert float(loss(optimizer.reported(params, state))) == found[-1]
    return found


def rosenbrock(params: Params) -> Tensor:
    x = params["x"]
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def drawn(seed: int, eigenvalues: list[float]) -> tuple[Tensor, Tensor]:
    """A symmetric matrix of these eigenvalues, and a vector."""
    generator = torch.Generator().manual_seed(seed)
    n = len(eigenvalues)
    q, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    values = torch.tensor(eigenvalues, dtype=torch.float64)
    return (q * values) @ q.T, torch.randn(n, generator=generator, dtype=torch.float64)


def quadratic(matrix: Tensor, linear: Tensor) -> Loss:
    return lambda params: params["x"] @ matrix @ params["x"] / 2 - linear @ params["x"]


@BOTH
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_a_quadratic_takes_one_step(optimizer: Optimizer, seed: int) -> None:
    matrix, linear = drawn(seed, [1e-2, 0.3, 1.0, 7.0, 100.0])
    found = steps(optimizer, quadratic(matrix, linear), vector(1.0, -2.0, 3.0, 0.5, -0.1), 1)[-1]["x"]
    torch.testing.assert_close(found, torch.linalg.solve(matrix, linear), rtol=1e-9, atol=1e-9)


@BOTH
def test_near_the_minimum_of_rosenbrock_the_error_is_squared_at_each_step(optimizer: Optimizer) -> None:
    """Theorem 3.5 of Nocedal & Wright, whose constant L ‖∇²f(x*)⁻¹‖ is a few thousand here."""
    errors = [float((p["x"] - 1).norm()) for p in steps(optimizer, rosenbrock, vector(1.01, 1.02), 5)]
    for before, after in itertools.pairwise(errors):
        assert after <= 200 * before**2 + 1e-15
    assert errors[0] > 1e-2
    assert errors[5] <= 1e-15


def test_inexact_newton_is_superlinear() -> None:
    errors = [float((p["x"] - 1).norm()) for p in steps(NewtonCG(), rosenbrock, vector(1.01, 1.02), 12)]
    assert errors[-1] <= 1e-12
    ratios = [after / before for before, after in itertools.pairwise(errors) if before > 1e-10]
    assert ratios[-1] < 1e-2


@BOTH
@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_where_the_curvature_is_negative_the_step_leads_down(optimizer: Optimizer, seed: int) -> None:
    matrix, linear = drawn(seed, [-3.0, -0.5, -1e-3, 0.4, 2.0])
    loss = quadratic(matrix, linear)
    start = vector(0.3, 1.0, -0.7, 2.0, 0.1)
    slope = gradient(loss, start)["x"]
    before, after = (p["x"] for p in steps(optimizer, loss, start, 1))
    assert slope @ (after - before) < 0
    assert loss({"x": after}) < loss({"x": before})


@BOTH
@settings(max_examples=15, deadline=None)
@given(x=st.floats(-3, 3), y=st.floats(-3, 3))
def test_no_step_leads_uphill(optimizer: Optimizer, x: float, y: float) -> None:
    """Himmelblau's function has a maximum, four saddles and four minima between −4 and 4."""
    himmelblau: Loss = lambda p: (p["x"][0] ** 2 + p["x"][1] - 11) ** 2 + (p["x"][0] + p["x"][1] ** 2 - 7) ** 2  # noqa: E731
    values = levels(optimizer, himmelblau, vector(x, y), 12)
    assert values[0] == float(himmelblau(vector(x, y)))
    assert all(after <= before * (1 + 1e-15) for before, after in itertools.pairwise(values))


def test_the_step_is_the_gradient_over_the_sizes_of_the_eigenvalues() -> None:
    matrix, linear = drawn(0, [-3.0, -0.5, 0.4, 2.0])
    q, values = (torch.linalg.eigh(matrix)[i] for i in (1, 0))
    twin = -q @ torch.diag(1 / values.abs()) @ q.T @ linear
    torch.testing.assert_close(Newton().direction(matrix, linear), twin, rtol=1e-12, atol=1e-12)


def test_the_floor_bounds_what_is_divided_by() -> None:
    matrix = torch.diag(torch.tensor([10.0, 1e-3, 0.0], dtype=torch.float64))
    found = Newton(floor=0.1).direction(matrix, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found, torch.tensor([-0.1, -1.0, -1.0], dtype=torch.float64))


def test_where_no_length_leads_down_the_run_stays_where_it_is() -> None:
    """The gradient given belongs to another function: every length tried leads uphill."""
    loss, start = quadratic(torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)), vector(1.0, 2.0)
    for optimizer in (Newton(), NewtonCG()):
        params, state = start, optimizer.init(start)
        with torch.no_grad():
            for _ in range(100):
                wrong = {"x": -gradient(loss, params)["x"]}
                params, state = optimizer.step(params, wrong, state, loss)
        assert torch.equal(optimizer.reported(params, state)["x"], start["x"])


@settings(max_examples=15, deadline=None)
@given(seed=seeds)
def test_conjugate_gradients_solve_as_far_as_asked(seed: int) -> None:
    matrix, right = drawn(seed, [0.1, 0.5, 1.0, 2.0, 9.0, 30.0])
    for tolerance in (0.5, 1e-3, 1e-10):
        found, products = truncated_cg(lambda v: matrix @ v, right, tolerance, 50)  # type: ignore[arg-type]
        assert (right - matrix @ found).norm() <= 1.001 * tolerance * right.norm()
        assert products <= 8


def test_conjugate_gradients_stop_before_negative_curvature() -> None:
    matrix = torch.diag(torch.tensor([-1.0, 2.0], dtype=torch.float64))
    across = torch.tensor([1.0, 0.1], dtype=torch.float64)
    first = truncated_cg(lambda v: matrix @ v, across, 1e-9, 50)[0]  # type: ignore[arg-type]
    torch.testing.assert_close(first, across * (across @ across) / (across @ matrix @ across).abs())
    along = torch.tensor([0.1, 1.0], dtype=torch.float64)
    found, products = truncated_cg(lambda v: matrix @ v, along, 1e-9, 50)  # type: ignore[arg-type]
    square = along @ along / (along @ matrix @ along)
    torch.testing.assert_close(found, square * along)
    assert products == 2


def test_newton_refuses_too_many_parameters_and_names_the_other() -> None:
    with pytest.raises(ConfigurationError, match=r"5,000 parameters.*at most 4,096; use optimizer=newton_cg"):
        Newton().init({"w": torch.zeros(50, 100)})


def test_what_was_evaluated_is_counted() -> None:
    """Against the calls that the loss itself saw."""
    calls = 0

    def counted(params: Params) -> Tensor:
        nonlocal calls
        calls += 1
        return rosenbrock(params)

    quiet = ["objective=rosenbrock", "metrics=none", "derivatives=none", "steps=5", "compile=false"]
    params = vector(-1.2, 1.0)
    state = Newton().init(params)
    _, slopes = value_and_gradient(rosenbrock, params)
    with torch.no_grad():
        Newton().step(params, slopes, state, counted)
    found = descend.run([*quiet, "optimizer=newton"]).evaluations
    assert calls == 2  # at the parameters: the value, which the engine knows, and the Hessian's own gradient
    assert found == {"function": 6, "gradient": 6, "hvp": 0, "hessian": 5}
    by_products = descend.run([*quiet, "optimizer=newton_cg"]).evaluations
    assert by_products["hessian"] == 0
    assert 5 <= by_products["hvp"] <= 10
    assert 6 < by_products["gradient"] <= 6 + 5  # a product's own gradient, where the point was taken
    assert by_products["function"] == by_products["gradient"]
