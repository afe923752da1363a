"""Values of the test functions that others published or computed."""

import importlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import rosen, rosen_der, rosen_hess

from descend.errors import ConfigurationError
from descend.objectives.ackley import Ackley
from descend.objectives.branin import Branin
from descend.objectives.easom import Easom
from descend.objectives.griewank import Griewank, product
from descend.objectives.michalewicz import Michalewicz
from descend.objectives.powell_singular import PowellSingular
from descend.objectives.rosenbrock import Rosenbrock
from descend.objectives.schwefel import Schwefel
from descend.objectives.test_function import TestFunction

# Moré, Garbow & Hillstrom, "Testing unconstrained optimization software", ACM TOMS 7 (1981): f at the standard start.
AT_THE_STANDARD_START = {
    "beale.Beale": 14.203125,
    "freudenstein_roth.FreudensteinRoth": 400.5,
    "powell_singular.PowellSingular": 215.0,
    "rosenbrock.Rosenbrock": 24.2,
    "wood.Wood": 19192.0,
}

# Computed once with opfunu 1.0.4 (its `name_based` functions), at points drawn in the domain.
BY_OPFUNU = {
    "beale.Beale": ([-2.35, 3.39], 8014.538736599685),
    "bohachevsky.Bohachevsky": ([-88.29, -32.78], 9945.528136982062),
    "booth.Booth": ([-6.99, -0.99], 653.8417999999999),
    "branin.Branin": ([6.94, 3.46], 22.818050615730094),
    "easom.Easom": ([3.0, 2.5], -0.51506478998487),
    "freudenstein_roth.FreudensteinRoth": ([13.31, 11.48], 2924523.6638131053),
    "goldstein_price.GoldsteinPrice": ([0.89, 0.1], 1054.3803184888484),
    "himmelblau.Himmelblau": ([4.81, 1.86], 197.50269936999985),
    "matyas.Matyas": ([8.7, 6.32], 3.672104000000001),
    "mccormick.McCormick": ([-1.48, 3.0], 31.789110143975584),
    "zakharov.Zakharov": ([1.5, -2.0, 0.25, 3.0], 731.461181640625),
}

# Computed once with botorch 0.18.1 (`botorch.test_functions.synthetic`).
BY_BOTORCH = {
    "ackley.Ackley": ([-28.77, -18.05, -17.42, -21.16, 3.67], 21.268254503272317),
    "dixon_price.DixonPrice": ([-3.01, -1.12, -1.86, -4.28, 6.07], 36595.34361796),
    "griewank.Griewank": ([-223.94, -54.72, -245.34, -374.99, -308.09], 88.05663984324784),
    "levy.Levy": ([-7.81, -0.78, 4.17, 1.6, -0.07], 13.588862575325209),
    "michalewicz.Michalewicz": ([1.6, 1.04, 2.26, 1.21, 0.28], -0.9796220870096379),
    "powell_singular.PowellSingular": ([-2.94, 1.76, -2.23, 0.61, 2.41, 4.32, 5.0, 4.03], 6534.979764419999),
    "rastrigin.Rastrigin": ([3.86, 3.53, -3.54, -3.37, 4.96], 136.1447036690869),
    "six_hump_camel.SixHumpCamel": ([1.88, -0.26], 1.8807359798613317),
    "styblinski_tang.StyblinskiTang": ([-0.86, -0.72, 2.58, 4.23, 4.64], 60.38127712499998),
    "three_hump_camel.ThreeHumpCamel": ([-3.24, 4.54], 103.99284418969604),
}


def function(name: str, dim: int) -> TestFunction:
    module, cls = name.split(".")
    return getattr(importlib.import_module(f"descend.objectives.{module}"), cls)(dim=dim)


def at(name: str, point: list[float]) -> float:
    return float(function(name, len(point)).value(torch.tensor(point, dtype=torch.float64)))


@pytest.mark.parametrize("name", AT_THE_STANDARD_START)
def test_value_at_the_standard_start(name: str) -> None:
    dim = 4 if name.startswith(("powell", "wood")) else 2
    start = function(name, dim).init(torch.Generator())["x"].tolist()
    assert at(name, start) == pytest.approx(AT_THE_STANDARD_START[name], rel=1e-12)


@pytest.mark.parametrize(("name", "point", "value"), [(n, *found) for n, found in (BY_OPFUNU | BY_BOTORCH).items()])
def test_value_as_others_compute_it(name: str, point: list[float], value: float) -> None:
    assert at(name, point) == pytest.approx(value, rel=1e-12)


# Local minima and other stationary points in the literature, to the digits printed there.
@pytest.mark.parametrize(
    ("name", "point", "value", "digits"),
    [
        ("freudenstein_roth.FreudensteinRoth", [11.4128, -0.896805], 48.9842, 1e-4),
        ("goldstein_price.GoldsteinPrice", [1.2, 0.8], 840.0, 1e-9),
        ("goldstein_price.GoldsteinPrice", [1.8, 0.2], 84.0, 1e-9),
        ("goldstein_price.GoldsteinPrice", [-0.6, -0.4], 30.0, 1e-9),
        ("himmelblau.Himmelblau", [-0.270845, -0.923039], 181.617, 1e-3),
        ("six_hump_camel.SixHumpCamel", [1.7036, -0.7961], -0.2155, 1e-4),
        ("michalewicz.Michalewicz", [2.20290552, 1.57079633], -1.8013034101, 1e-9),
        ("branin.Branin", [9.42478, 2.475], 0.397887, 1e-6),
        ("schwefel.Schwefel", [420.9687], 0.0, 1e-4),
        ("sphere.Sphere", [1.0, 2.0, -3.0], 14.0, 1e-12),
    ],
)
def test_value_at_points_in_the_literature(name: str, point: list[float], value: float, digits: float) -> None:
    assert at(name, point) == pytest.approx(value, abs=digits)


@pytest.mark.parametrize(("dim", "minimum"), [(2, -1.80130341), (5, -4.687658179), (10, -9.66015171564)])
def test_minimum_of_michalewicz_as_certified(dim: int, minimum: float) -> None:
    """Vanaret, Gotteland, Durand & Alliot, "Certified global minima for a benchmark of difficult problems" (2014)."""
    assert Michalewicz(dim=dim).minimum == pytest.approx(minimum, abs=1e-8)
    assert Michalewicz(dim=11).minimum is None
    assert Michalewicz(dim=11).minimizers is None


def test_three_minima_of_branin_have_one_height() -> None:
    heights = [at("branin.Branin", list(minimizer)) for minimizer in Branin.minimizers]
    assert heights == pytest.approx([0.39788735772973816] * 3, rel=1e-14)


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=7))
def test_rosenbrock_equals_scipys_with_both_derivatives(point: list[float]) -> None:
    objective = Rosenbrock(dim=len(point))
    x = torch.tensor(point, dtype=torch.float64, requires_grad=True)
    value = objective.value(x)
    (gradient,) = torch.autograd.grad(value, x)
    hessian = torch.autograd.functional.hessian(objective.value, x.detach())
    np.testing.assert_allclose(value.item(), rosen(point), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(gradient.numpy(), rosen_der(np.array(point)), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(hessian.numpy(), rosen_hess(np.array(point)), rtol=1e-9, atol=1e-9)


@given(st.lists(st.floats(-2, 2), min_size=1, max_size=17))
def test_product_by_halves_is_the_product(factors: list[float]) -> None:
    assert float(product(torch.tensor(factors, dtype=torch.float64))) == pytest.approx(math.prod(factors), rel=1e-12)


def test_gradient_of_griewank_is_right_where_a_factor_is_zero() -> None:
    x = torch.tensor([math.pi / 2, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(Griewank(dim=3).value(x), x)
    others = math.cos(1 / math.sqrt(2)) * math.cos(2 / math.sqrt(3))
    assert gradient[0].item() == pytest.approx(math.pi / 4000 + others, rel=1e-12)


@pytest.mark.parametrize("objective", [Ackley(dim=3), Schwefel(dim=3)])
def test_derivatives_are_finite_where_a_root_is_zero(objective: TestFunction) -> None:
    x = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective.value(x), x, create_graph=True)
    assert torch.equal(gradient, torch.zeros_like(gradient))
    (second,) = torch.autograd.grad(gradient.sum(), x)
    assert torch.isfinite(second).all()


def test_starts_and_dimensions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="dim=3, but it needs exactly 2"):
        Branin(dim=3)
    with pytest.raises(ConfigurationError, match="dim=6, but it needs a multiple of 4"):
        PowellSingular(dim=6)
    with pytest.raises(ConfigurationError, match="start of 3 numbers, but dim is 2"):
        Easom(start=[1.0, 2.0, 3.0])


def test_a_given_start_is_taken() -> None:
    assert Easom(start=[1.0, 2.0]).init(torch.Generator())["x"].tolist() == [1.0, 2.0]
