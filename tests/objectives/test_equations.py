"""Differential equations: their exact solutions against sympy and mpmath, both routes, short fits."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import pytest
import sympy
import torch
from torch import Tensor

import descend
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.networks import MLP
from descend.objectives.pinn.beam import Beam
from descend.objectives.pinn.burgers import Burgers
from descend.objectives.pinn.equation import Equation
from descend.objectives.pinn.heat import Heat
from descend.objectives.pinn.helmholtz import Helmholtz
from descend.objectives.pinn.kdv import Kdv
from descend.objectives.pinn.poisson import Poisson
from descend.objectives.pinn.solution import Solution
from descend.optimizers.adam_then_lbfgs import AdamThenLBFGS

X, T, Y = sympy.symbols("x t y")
FORMULAS = {
    Poisson: ((X,), sympy.sin(sympy.pi * X)),
    Heat: ((X, T), sympy.exp(-(sympy.pi**2) * sympy.Float(0.4) * T) * sympy.sin(sympy.pi * X)),
    Kdv: ((X, T), sympy.sech((X - T) / 2) ** 2 / 2),
    Beam: ((X,), -(X**4) / 24 + X**3 / 6 - X**2 / 4),
    Helmholtz: ((X, Y), sympy.sin(2 * sympy.pi * X) * sympy.sin(2 * sympy.pi * Y)),
}
EQUATIONS = [*FORMULAS, Burgers]
CHOICES = sorted(path.stem for path in (FOLDER / "objective" / "pinn").glob("*.yaml"))


class Symbolic:
    """Stands for a `Solution`: a formula, each derivative taken by sympy and evaluated to 30 digits."""

    def __init__(self, variables: tuple[sympy.Symbol, ...], formula: sympy.Expr) -> None:
        self.variables, self.formula = variables, formula

    def __call__(self, points: Tensor, *names: str) -> Tensor | tuple[Tensor, ...]:
        found = tuple(self.values(points, sympy.symbols(list(name.partition("_")[2]))) for name in names)
        return found if len(found) > 1 else found[0]

    def values(self, points: Tensor, by: list[sympy.Symbol]) -> Tensor:
        derived = sympy.lambdify(self.variables, sympy.diff(self.formula, *by) if by else self.formula, "mpmath")
        with mpmath.workdps(30):
            numbers = [float(derived(*map(mpmath.mpf, point))) for point in points.tolist()]
        return torch.tensor(numbers, dtype=torch.float64)


def automatic(field: Callable[[Tensor], Tensor | None]) -> Any:
    """Stand for a `Solution` of x and t: derivatives by plain torch.autograd, one after the other."""

    def solution(points: Tensor, *names: str) -> Tensor | tuple[Tensor, ...]:
        leaf = points.clone().requires_grad_()
        found = []
        for name in names:
            value = field(leaf)
            assert value is not None
            for letter in name.partition("_")[2]:
                value = torch.autograd.grad(value.sum(), leaf, create_graph=True)[0][:, "xt".index(letter)]
            found.append(value.detach())
        return tuple(found) if len(found) > 1 else found[0]

    return solution


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_points(equation: Equation, count: int = 12) -> Tensor:
    return next(equation.batches(seeded()))[:count]


@pytest.mark.parametrize("kind", FORMULAS)
def test_the_exact_solution_is_the_formula(kind: type[Equation]) -> None:
    equation = kind()
    points = some_points(equation)
    found = equation.exact(points)
    torch.testing.assert_close(found, Symbolic(*FORMULAS[kind])(points, "u"), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", FORMULAS)
def test_the_formula_satisfies_equation_and_conditions(kind: type[Equation]) -> None:
    equation = kind(edge_points=6)
    u: Any = Symbolic(*FORMULAS[kind])
    assert equation.residual(u, some_points(equation)).abs().max() < 1e-10
    for left in equation.conditions(u).values():
        assert left.abs().max() < 1e-10


@pytest.mark.parametrize("viscosity", [0.1 / math.pi, 0.02, 0.1])
def test_the_solution_of_burgers_satisfies_equation_and_conditions(viscosity: float) -> None:
    equation = Burgers(viscosity=viscosity, edge_points=9)
    u = automatic(equation.exact)
    points = some_points(equation, 200)
    points = points[points[:, 1] > 0.02]
    scale = u(points, "u_t").abs().max()
    assert equation.residual(u, points).abs().max() < 1e-10 * max(1.0, float(scale))
    for left in equation.conditions(u).values():
        assert left.abs().max() < 1e-10


@pytest.mark.parametrize(("x", "t"), [(0.3, 0.5), (-0.05, 1.0), (0.9, 0.1)])
def test_the_solution_of_burgers_by_adaptive_quadrature(x: float, t: float) -> None:
    equation = Burgers()
    nu = equation.viscosity

    def weight(eta: mpmath.mpf) -> mpmath.mpf:
        return mpmath.exp(-mpmath.cos(mpmath.pi * (x - eta)) / (2 * mpmath.pi * nu) - eta**2 / (4 * nu * t))

    above = mpmath.quad(lambda eta: mpmath.sin(mpmath.pi * (x - eta)) * weight(eta), mpmath.linspace(-3, 3, 13))
    below = mpmath.quad(weight, mpmath.linspace(-3, 3, 13))
    found = equation.exact(torch.tensor([[x, t]], dtype=torch.float64))
    assert float(found) == pytest.approx(float(-above / below), abs=1e-12)


@pytest.mark.parametrize("kind", EQUATIONS)
def test_both_routes_give_the_same_losses_and_gradients(kind: type[Equation]) -> None:
    found = []
    for mode in ("nested", "taylor", "auto"):
        equation = kind(mode=mode, edge_points=4, network=MLP((6, 6), torch.tanh))
        params = {name: x.requires_grad_() for name, x in equation.init(seeded()).items()}
        losses = equation.losses(params, some_points(equation))
        gradients = torch.autograd.grad(torch.stack(list(losses.values())).sum(), list(params.values()))
        found.append((losses, gradients))
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("kind", EQUATIONS)
def test_a_short_training_lowers_the_error(kind: type[Equation]) -> None:
    equation = kind(points=32, edge_points=8, network=MLP((12, 12), torch.tanh))
    before = float(equation.evaluate(equation.init(seeded()))["relative_l2"])
    result = descend.run(Experiment(equation, AdamThenLBFGS(lr=0.01, adam_steps=15), steps=18))
    assert result.status == "finished"
    assert result.metrics["relative_l2"] < 0.8 * before
    assert set(result.losses) == {"res", *equation.conditions(Solution(lambda x: x[:, :1], equation.variables))}


def test_poisson_is_solved_to_three_digits() -> None:
    result = descend.run(Experiment(Poisson(points=32), AdamThenLBFGS(lr=0.01, adam_steps=10), steps=30))
    assert result.metrics["relative_l2"] < 1e-3


@pytest.mark.parametrize("kind", EQUATIONS)
def test_points_are_a_latin_hypercube_drawn_once_by_the_seed(kind: type[Equation]) -> None:
    equation = kind(points=50)
    first, second = itertools.islice(equation.batches(seeded(1)), 2)
    assert torch.equal(first, second)
    assert not torch.equal(first, next(equation.batches(seeded(2))))
    low, high = torch.tensor(equation.domain, dtype=torch.float64).T
    cells = ((first - low) / (high - low) * 50).floor()
    for column in cells.T:
        assert sorted(column.tolist()) == list(range(50))


def test_faces() -> None:
    equation = Heat(edge_points=3)
    assert equation.face(t=0.0).tolist() == [[0, 0], [0.5, 0], [1, 0]]
    assert equation.face(x=(0.0, 1.0)).tolist() == [[0, 0], [0, 0.5], [0, 1], [1, 0], [1, 0.5], [1, 1]]
    assert equation.face(x=0.25, t=1.0).tolist() == [[0.25, 1.0]]
    assert Beam().face(x=1.0).tolist() == [[1.0]]
    with pytest.raises(ConfigurationError, match=r"A face of Heat was asked for at y, but its variables are x, t"):
        equation.face(y=0.0)


def test_a_hard_boundary_holds_whatever_the_network() -> None:
    equation = Helmholtz()
    u = equation.candidate(equation.init(seeded()))
    for edge in (equation.face(x=(0.0, 1.0)), equation.face(y=(0.0, 1.0))):
        assert u(edge).abs().max() == 0
    assert u(some_points(equation)).abs().min() > 0


@dataclass(frozen=True)
class Oscillator(Equation):
    """Two unknowns: u' = v, v' = −u with u(0) = 0, v(0) = 1. The solution is given to none."""

    variables = "t"
    domain = ((0.0, 2.0),)
    unknowns = ("u", "v")

    def residual(self, u: Solution, points: Tensor) -> Tensor:
        value, u_t, speed, v_t = u(points, "u", "u_t", "v", "v_t")
        return torch.stack([u_t - speed, v_t + value], 1)

    def conditions(self, u: Solution) -> dict[str, Tensor]:
        value, speed = u(self.face(t=0.0), "u", "v")
        return {"position": value, "speed": speed - 1}


def test_a_system_of_equations() -> None:
    equation = Oscillator(points=20)
    experiment = Experiment(equation, AdamThenLBFGS(lr=0.01, adam_steps=10), steps=20)
    run = Run(experiment)
    for _ in run:
        pass
    found = equation.candidate(run.params)(equation.grid)
    t = equation.grid[:, 0]
    torch.testing.assert_close(found, torch.stack([t.sin(), t.cos()], 1), rtol=0, atol=5e-3)
    assert run.result().metrics == {}
    drawing = equation.drawing(run.params)
    assert drawing is not None
    assert set(drawing.found) == {"u", "v"}
    assert drawing.exact == {}


def test_a_drawing_holds_the_solution_over_the_grid() -> None:
    equation = Burgers()
    params = equation.init(seeded())
    drawing = equation.drawing(params)
    assert drawing is not None
    x, t = drawing.axes["x"], drawing.axes["t"]
    assert drawing.found["u"].shape == drawing.exact["u"].shape == (len(x), len(t))
    point = torch.stack([x[5], t[9]])[None]
    torch.testing.assert_close(drawing.exact["u"][5, 9], equation.exact(point)[0])
    torch.testing.assert_close(drawing.found["u"][5, 9], equation.candidate(params)(point)[0, 0])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("w_x", "'w_x'.*unknowns are u and the variables x, t.*u_xx"), ("u_y", "'u_y' was asked for")],
)
def test_an_unknown_derivative_is_refused(name: str, sentence: str) -> None:
    u = Solution(lambda points: points[:, :1], "xt")
    with pytest.raises(ConfigurationError, match=sentence):
        u(torch.zeros(3, 2, dtype=torch.float64), name)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"mode": "forward"}, r"Poisson.mode is 'forward', but it must be one of auto, nested, taylor"),
        ({"weights": {"bc": -1.0}}, r"weights\['bc'\] is -1.0"),
        ({"points": 0}, r"Poisson.points is 0"),
        ({"edge_points": 1}, r"Poisson.edge_points is 1"),
    ],
)
def test_wrong_fields_are_refused(fields: dict, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Poisson(**fields)


def test_weights_of_no_loss_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"weights of Poisson name 'ic', but its losses are 'res', 'bc'"):
        descend.run(Experiment(Poisson(weights={"ic": 2.0}), steps=1))
    with pytest.raises(ConfigurationError, match=r"objective.weights has the fields bc, res"):
        descend.run(["objective=pinn/poisson", "objective.weights.ic=2.0"])


def test_a_weight_multiplies_its_loss() -> None:
    params = Poisson().init(seeded())
    plain, weighted = (Poisson(weights=weights).losses(params, None) for weights in ({}, {"bc": 7.0}))
    torch.testing.assert_close(weighted, {"res": plain["res"], "bc": 7 * plain["bc"]})


@pytest.mark.parametrize("choice", CHOICES)
def test_every_equation_has_its_budget(choice: str) -> None:
    overrides = [f"experiment=pinn/{choice}"]
    experiment = build(compose(overrides), overrides)
    assert type(experiment.objective).__module__.endswith(f"pinn.{choice}")
    assert isinstance(experiment.optimizer, AdamThenLBFGS)
    assert experiment.steps > experiment.optimizer.adam_steps
    assert experiment.threads == 1
    assert "metrics.test_metrics" in experiment.metrics


def test_a_budget_takes_other_choices() -> None:
    overrides = ["experiment=pinn/heat", "optimizer=adam", "aggregator=upgrad", "metrics=none", "steps=3"]
    result = descend.run([*overrides, "objective.points=16", "objective.mode=taylor", "objective.weights.ic=10"])
    assert result.status == "finished"
    assert {"res", "bc", "ic"} == set(result.losses)
