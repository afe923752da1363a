"""Classic functions that are sums of squares: their residuals, and the fits that start from them."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import torch

import descend
from descend.errors import ConfigurationError
from descend.menu import FOLDER, choices
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.rosenbrock import Rosenbrock
from descend.objectives.sum_of_squares import SumOfSquares

QUIET = ["metrics=none", "derivatives=none", "compile=false"]
SIX = ("beale", "dixon_price", "freudenstein_roth", "powell_singular", "rosenbrock", "wood")


def objective(name: str, *overrides: str) -> SumOfSquares:
    made = [f"objective={name}", *overrides, *QUIET]
    found = build(compose(made), made).objective
    assert isinstance(found, SumOfSquares)
    return found


def test_the_six_are_found_in_the_menu() -> None:
    assert set(SIX) <= set(choices(FOLDER / "objective"))


CASES: list[tuple[str, list[str]]] = [(name, []) for name in SIX] + [
    ("rosenbrock", ["objective.dim=7", "objective.a=0.5", "objective.b=3"]),
    ("powell_singular", ["objective.dim=12"]),
    ("dixon_price", ["objective.dim=5"]),
]


@pytest.mark.parametrize(("name", "overrides"), CASES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_value_is_the_sum_of_the_squares_of_the_residuals(
    name: str, overrides: list[str], dtype: torch.dtype
) -> None:
    own = objective(name, *overrides)
    generator = torch.Generator().manual_seed(7)
    for _ in range(20):
        x = (4 * torch.rand(own.dim, generator=generator, dtype=torch.float64) - 2).to(dtype).requires_grad_()
        value, residuals = own.losses({"x": x}, None)["value"], own.residuals({"x": x}, None)
        assert residuals.dtype == dtype
        torch.testing.assert_close(residuals.square().sum(), value, rtol=20 * torch.finfo(dtype).eps, atol=0.0)
        [expected], [found] = (torch.autograd.grad(f, x) for f in (value, residuals.square().sum()))
        torch.testing.assert_close(found, expected, rtol=1e-4 if dtype == torch.float32 else 1e-12, atol=1e-5)


# Moré, Garbow & Hillstrom, "Testing unconstrained optimization software", ACM TOMS 7 (1981), nos. 1, 2, 5, 13 and 14:
# the residuals, the standard start, and the minimum that is reached from it.
MGH: dict[str, tuple[Callable[..., list[float]], list[float], float]] = {
    "rosenbrock": (lambda a, b: [10 * (b - a**2), 1 - a], [-1.2, 1.0], 0.0),
    "freudenstein_roth": (
        lambda a, b: [-13 + a + ((5 - b) * b - 2) * b, -29 + a + ((b + 1) * b - 14) * b],
        [0.5, -2.0],
        48.98425,
    ),
    "beale": (lambda a, b: [y - a * (1 - b**i) for i, y in enumerate((1.5, 2.25, 2.625), 1)], [1.0, 1.0], 0.0),
    "powell_singular": (
        lambda a, b, c, d: [a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2],
        [3.0, -1.0, 0.0, 1.0],
        0.0,
    ),
    "wood": (
        lambda a, b, c, d: [
            *(10 * (b - a**2), 1 - a, 90**0.5 * (d - c**2), 1 - c),
            *(10**0.5 * (b + d - 2), 10**-0.5 * (b - d)),
        ],
        [-3.0, -1.0, -3.0, -1.0],
        0.0,
    ),
}


@pytest.mark.parametrize("name", MGH)
def test_residuals_as_more_garbow_and_hillstrom_give_them(name: str) -> None:
    residuals, start, _ = MGH[name]
    own = objective(name)
    params = own.init(torch.Generator())
    assert params["x"].tolist() == start
    np.testing.assert_allclose(own.residuals(params, None).numpy(), residuals(*start), rtol=1e-14)


@pytest.mark.parametrize("name", MGH)
def test_levenberg_marquardt_ends_where_scipy_does(name: str) -> None:
    residuals, start, minimum = MGH[name]
    found = descend.run([f"objective={name}", "optimizer=levenberg_marquardt", "steps=100", *QUIET])
    other = scipy.optimize.least_squares(lambda x: residuals(*x), start, method="lm", xtol=1e-15, ftol=1e-15)
    assert found.value == pytest.approx(2 * other.cost, rel=1e-10, abs=1e-20)
    assert found.value == pytest.approx(minimum, rel=1e-6, abs=1e-20)
    assert found.parameters == {"x": pytest.approx(other.x, rel=1e-6, abs=1e-5)}


@pytest.mark.parametrize("name", ["rosenbrock", "beale", "powell_singular", "wood"])
def test_gauss_newton_solves_those_without_a_residual(name: str) -> None:
    """From the start of Freudenstein and Roth's it stalls, where its Jacobian is singular."""
    found = descend.run([f"objective={name}", "optimizer=gauss_newton", "steps=120", "stop.value=1e-20", *QUIET])
    assert found.status == "converged", found.reason


def test_walls_that_fall_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Rosenbrock\.b is -1"):
        Rosenbrock(b=-1.0)
