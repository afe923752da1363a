"""Problems of several losses: their formulas written out plainly, and their Pareto sets."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from descend.aggregators.min_norm import min_norm_weights
from descend.errors import ConfigurationError
from descend.objectives.cagrad_toy import STARTS, CAGradToy
from descend.objectives.dtlz2 import Dtlz2
from descend.objectives.fonseca_fleming import FonsecaFleming
from descend.objectives.pareto_problem import ParetoProblem
from descend.objectives.zdt1 import Zdt1

PROBLEMS = [FonsecaFleming(dim=2), FonsecaFleming(dim=5), Dtlz2(), Dtlz2(dim=12, m=3), Zdt1(), CAGradToy()]
every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"{type(p).__name__}-{p.dim}")


def points(problem: ParetoProblem, count: int, seed: int = 0) -> Tensor:
    lower, upper = problem.bounds()
    unit = torch.rand(count, problem.dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return lower + (upper - lower) * unit


def losses(problem: ParetoProblem, x: Tensor) -> Tensor:
    return torch.stack(tuple(problem.losses({"x": x}, None).values()))


def shortest(problem: ParetoProblem, x: Tensor) -> float:
    """Length of the shortest vector in the hull of the gradients: 0 at a Pareto stationary point."""
    rows = torch.autograd.functional.jacobian(lambda x: losses(problem, x), x)
    return float((min_norm_weights(rows @ rows.T) @ rows).norm())


def fonseca_fleming(x: Sequence[float]) -> list[float]:
    n = len(x)
    return [1 - math.exp(-sum((xi + sign / math.sqrt(n)) ** 2 for xi in x)) for sign in (-1, 1)]


def dtlz2(x: Sequence[float]) -> list[float]:
    g = sum((xi - 0.5) ** 2 for xi in x[1:])
    return [(1 + g) * math.cos(math.pi * x[0] / 2), (1 + g) * math.sin(math.pi * x[0] / 2)]


def dtlz2_of_three(x: Sequence[float]) -> list[float]:
    g = sum((xi - 0.5) ** 2 for xi in x[2:])
    a, b = math.pi * x[0] / 2, math.pi * x[1] / 2
    return [(1 + g) * math.cos(a) * math.cos(b), (1 + g) * math.cos(a) * math.sin(b), (1 + g) * math.sin(a)]


def zdt1(x: Sequence[float]) -> list[float]:
    g = 1 + 9 * sum(x[1:]) / (len(x) - 1)
    return [x[0], g * (1 - math.sqrt(x[0] / g))]


def cagrad_toy(x: Sequence[float]) -> list[float]:
    x1, x2 = x
    f1 = math.log(max(abs(0.5 * (-x1 - 7) - math.tanh(-x2)), 0.000005)) + 6
    f2 = math.log(max(abs(0.5 * (-x1 + 3) + math.tanh(-x2) + 2), 0.000005)) + 6
    q1 = ((-x1 + 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    q2 = ((-x1 - 7) ** 2 + 0.1 * (-x2 - 8) ** 2) / 10 - 20
    c1, c2 = max(math.tanh(0.5 * x2), 0), max(math.tanh(-0.5 * x2), 0)
    return [0.1 * (f1 * c1 + q1 * c2), f2 * c1 + q2 * c2]


@pytest.mark.parametrize(
    ("problem", "plain"),
    [
        (FonsecaFleming(dim=3), fonseca_fleming),
        (Dtlz2(), dtlz2),
        (Dtlz2(dim=12, m=3), dtlz2_of_three),
        (Zdt1(), zdt1),
        (CAGradToy(), cagrad_toy),
    ],
    ids=lambda x: type(x).__name__,
)
def test_equals_the_formula(problem: ParetoProblem, plain: Callable[[Sequence[float]], list[float]]) -> None:
    for x in points(problem, 50):
        expected = torch.tensor(plain(x.tolist()), dtype=torch.float64)
        torch.testing.assert_close(losses(problem, x), expected, rtol=1e-12, atol=1e-13)


@every_problem
def test_names_its_losses_and_adds_them_up(problem: ParetoProblem) -> None:
    params = problem.init(torch.Generator().manual_seed(0))
    found = problem.losses(params, None)
    assert list(found) == [f"f{i + 1}" for i in range(len(found))]
    torch.testing.assert_close(problem.value(params["x"]), sum(found.values()))


@pytest.mark.parametrize("problem", [p for p in PROBLEMS if not isinstance(p, Zdt1)], ids=lambda p: type(p).__name__)
def test_gradients_cancel_on_the_pareto_set_and_not_beside_it(problem: ParetoProblem) -> None:
    lower, upper = problem.bounds()
    inside = [x for x in problem.pareto_set(16) if (x > lower).all() and (x < upper).all()]
    assert len(inside) >= 4
    for x in inside:
        aside = torch.full_like(x, 0.02) * torch.arange(1, problem.dim + 1)
        assert shortest(problem, x) < 1e-7
        assert shortest(problem, x + aside) > 1e-4


@every_problem
def test_no_drawn_point_is_better_in_every_loss_than_the_front(problem: ParetoProblem) -> None:
    front = problem.pareto_front(200)
    drawn = torch.cat([points(problem, 2000), *(problem.pareto_set(20) + d for d in (-0.01, 0.01))])
    found = torch.stack([losses(problem, x) for x in drawn])
    assert not (found[:, None] < front[None] - 1e-12).all(dim=2).any()


def test_fronts_equal_their_closed_forms() -> None:
    f1, f2 = FonsecaFleming(dim=3).pareto_front(101)[1:].unbind(dim=1)
    torch.testing.assert_close(f2, 1 - torch.exp(-((2 - (-torch.log1p(-f1)).sqrt()) ** 2)))
    for problem in (Dtlz2(), Dtlz2(dim=12, m=3)):
        front = problem.pareto_front(49)
        assert float(front.min()) >= 0
        torch.testing.assert_close((front**2).sum(dim=1), torch.ones(49, dtype=torch.float64))
    f1, f2 = Zdt1().pareto_front(101).unbind(dim=1)
    torch.testing.assert_close(f2, 1 - f1.sqrt())


def test_pareto_sets_have_the_size_asked_for() -> None:
    for problem in PROBLEMS:
        assert problem.pareto_set(10).shape == (10, problem.dim)


def test_toy_has_the_set_of_the_literature() -> None:
    x = CAGradToy().pareto_set(3)
    expected = torch.tensor([[-7, -8.4345], [0, -8.3551], [7, -8.4345]], dtype=torch.float64)
    torch.testing.assert_close(x, expected, rtol=0, atol=5e-5)


def test_toy_starts_where_asked() -> None:
    for start in STARTS:
        assert CAGradToy(start=start).init(torch.Generator())["x"].tolist() == list(start)


@pytest.mark.parametrize("problem", [Dtlz2(), Zdt1()], ids=lambda p: type(p).__name__)
def test_outside_the_box_the_edge_counts(problem: ParetoProblem) -> None:
    inside = points(problem, 1)[0]
    inside[1], inside[2] = 0.0, 1.0
    outside = inside.clone()
    outside[1], outside[2] = -0.3, 1.7
    torch.testing.assert_close(losses(problem, outside), losses(problem, inside), rtol=0, atol=0)
    slopes = torch.autograd.functional.jacobian(lambda x: losses(problem, x), outside)
    assert not slopes[:, 1:3].any()


def test_the_distance_outside_the_box_is_that_of_the_point_whose_losses_count() -> None:
    """(0.25, −3) has the losses of (0.25, 0), which is Pareto optimal; (0.25, 3) those of (0.25, 1)."""
    for x2, expected in ((-3.0, 0.0), (3.0, 1.0)):
        found = Zdt1(dim=2).evaluate({"x": torch.tensor([0.25, x2], dtype=torch.float64)})["pareto_distance"]
        assert float(found) == pytest.approx(expected, abs=1e-12)


def test_the_gradient_of_zdt1_is_finite_on_and_over_its_edge_and_true_inside() -> None:
    for x1 in (-0.1, 0.0):
        x = torch.tensor([x1, 0.2, 0.3], dtype=torch.float64)
        assert torch.autograd.functional.jacobian(lambda x: losses(Zdt1(dim=3), x), x).isfinite().all()
    # By hand: g = 1 + 4.5 · 0.5, ∂f₂/∂x₁ = −√(g/x₁)/2, ∂f₂/∂xᵢ = 4.5 (1 − √(x₁/g)/2).
    x, g = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), 3.25
    slopes = torch.autograd.functional.jacobian(lambda x: losses(Zdt1(dim=3), x), x)
    rest = 4.5 * (1 - math.sqrt(0.1 / g) / 2)
    expected = torch.tensor([[1, 0, 0], [-math.sqrt(g / 0.1) / 2, rest, rest]], dtype=torch.float64)
    torch.testing.assert_close(slopes, expected, rtol=1e-14, atol=0)


def descent(problem: ParetoProblem, choose: Callable[[Tensor], Tensor], seed: int) -> tuple[Tensor, Tensor]:
    """Return where Adam ends from a drawn start, and the Jacobian there."""
    x = points(problem, 1, seed)[0].requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.02)
    for _ in range(600):
        rows = torch.autograd.functional.jacobian(lambda x: losses(problem, x), x.detach())
        x.grad = choose(rows) @ rows
        optimizer.step()
    return x.detach(), torch.autograd.functional.jacobian(lambda x: losses(problem, x), x.detach())


def test_min_norm_rests_on_an_edge_of_dtlz2_where_one_loss_is_at_its_minimum() -> None:
    """Not on the Pareto set, but Pareto stationary: one gradient is 0, and f₁ or f₂ is 0, its least value anywhere."""
    problem = Dtlz2()
    x, rows = descent(problem, lambda rows: min_norm_weights(rows @ rows.T), seed=1)
    assert float(problem.evaluate({"x": x})["pareto_distance"]) > 0.1
    assert float(rows.norm(dim=1).amin()) == 0
    assert float(losses(problem, x).amin()) < 1e-15
    x, _ = descent(problem, lambda rows: torch.full((2,), 0.5, dtype=torch.float64), seed=1)
    assert float(problem.evaluate({"x": x})["pareto_distance"]) < 1e-3


@pytest.mark.parametrize("seed", range(5))
def test_no_descent_on_zdt1_ends_in_nan(seed: int) -> None:
    x, rows = descent(Zdt1(dim=3), lambda rows: min_norm_weights(rows @ rows.T), seed)
    assert x.isfinite().all()
    assert rows.isfinite().all()


def test_impossible_shapes_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Dtlz2 has m=4, but its front is known here for 2 or 3 losses"):
        Dtlz2(m=4)
    with pytest.raises(ConfigurationError, match="dim=2, but 3 losses need at least 3"):
        Dtlz2(dim=2, m=3)
    with pytest.raises(ConfigurationError, match="Zdt1 has dim=1, but it needs at least 2"):
        Zdt1(dim=1)


def test_the_distance_from_the_set_is_known_on_a_straight_one() -> None:
    """The set of two bells in the plane is the diagonal between ±(1/√2, 1/√2)."""
    distance = {
        point: float(FonsecaFleming().evaluate({"x": torch.tensor(point, dtype=torch.float64)})["pareto_distance"])
        for point in ((0.25, 0.25), (1.0, -1.0), (2.0, 2.0))
    }
    assert distance[0.25, 0.25] < 1e-3
    assert distance[1.0, -1.0] == pytest.approx(2**0.5, abs=1e-6)
    assert distance[2.0, 2.0] == pytest.approx(8**0.5 - 1)
