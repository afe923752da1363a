"""Methods of the Fisher matrix of a network: dense twins, the labels that they draw, and how they fit into a run."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from network_problems import Problem, classifier, draw, regression
from torch import Tensor, nn

import descend
from descend.derivatives.flat import ravel
from descend.errors import ConfigurationError
from descend.objectives import labels
from descend.optimizers.ekfac import EKFAC
from descend.optimizers.kfac import KFAC
from descend.optimizers.natural_gradient import NaturalGradient
from descend.optimizers.sophia_g import SophiaG
from descend.types import Params

QUIET = ["metrics=none", "derivatives=none"]


# Natural gradient


@pytest.mark.parametrize("problem", [classifier(), regression(3, 4, 2)], ids=["softmax", "squared error"])
def test_the_natural_gradient_is_the_dense_solution(problem: Problem) -> None:
    n, damping = sum(x.numel() for x in problem.params.values()), 0.03
    expected = torch.linalg.solve(
        problem.curvature() + damping * torch.eye(n, dtype=torch.float64), ravel(problem.gradients())
    )
    found = problem.direction(NaturalGradient(lr=0.7, damping=damping, iterations=2 * n))
    torch.testing.assert_close(ravel(found), expected, rtol=1e-8, atol=1e-10)


def test_conjugate_gradients_are_those_of_scipy() -> None:
    from scipy.sparse.linalg import cg

    problem = classifier()
    matrix = (problem.curvature() + 0.1 * torch.eye(43, dtype=torch.float64)).numpy()
    for iterations in (1, 3, 8):
        expected, _ = cg(matrix, ravel(problem.gradients()).numpy(), rtol=0, maxiter=iterations)
        found = problem.direction(NaturalGradient(lr=0.7, damping=0.1, iterations=iterations))
        np.testing.assert_allclose(ravel(found).numpy(), expected, rtol=1e-8)


def test_one_step_solves_linear_regression() -> None:
    problem = regression(3, 2)
    found = problem.direction(NaturalGradient(lr=1.0, damping=0.0, iterations=20))
    design = np.hstack([problem.inputs.numpy(), np.ones((12, 1))])
    expected, *_ = np.linalg.lstsq(design, problem.targets.numpy(), rcond=None)
    np.testing.assert_allclose((problem.params["0.weight"] - found["0.weight"]).T, expected[:3], rtol=1e-10)
    np.testing.assert_allclose(problem.params["0.bias"] - found["0.bias"], expected[3], rtol=1e-10)


def test_a_singular_fisher_matrix_without_damping_is_solved_where_it_is_not() -> None:
    problem = classifier()  # 43 numbers, 7 examples of 3 classes
    found = problem.direction(NaturalGradient(lr=1.0, damping=0.0, iterations=60))
    expected = torch.linalg.pinv(problem.curvature(), rtol=1e-10) @ ravel(problem.gradients())
    torch.testing.assert_close(ravel(found), expected, rtol=1e-6, atol=1e-5)


# Labels


def test_the_labels_of_a_softmax_are_distributed_as_it_says() -> None:
    scores = torch.tensor([2.0, 0.0, -1.0, 1.0])
    torch.manual_seed(0)
    shares = torch.bincount(labels.drawn_classes(scores.expand(200_000, 4)), minlength=4) / 200_000
    expected = scores.softmax(0)
    assert ((shares - expected).abs() < 5 * (expected * (1 - expected) / 200_000).sqrt()).all()


def test_the_labels_of_numbers_have_the_variance_of_which_the_squared_error_is_the_density() -> None:
    torch.manual_seed(0)
    found = labels.drawn_numbers(torch.full((200_000,), 3.0, dtype=torch.float64))
    assert abs(found.mean() - 3) < 5 * (0.5 / 200_000) ** 0.5
    assert abs(found.var() - 0.5) < 5 * 0.5 * (2 / 200_000) ** 0.5


def expected_over_labels(problem: Problem, of: Callable[[], Tensor], monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The mean of what depends on drawn labels, over every one of them."""
    outputs = problem.outputs(problem.params)
    if problem.targets.is_floating_point():  # signs have the mean and covariance of normal numbers
        choices = [torch.tensor(x, dtype=torch.float64).view_as(outputs) for x in signs(outputs.numel())]
        return torch.stack([having(problem, noise, of) for noise in choices]).mean(0)
    total, chances = torch.zeros_like(of()), outputs.softmax(-1)
    for y in map(torch.tensor, itertools.product(range(outputs.shape[1]), repeat=len(outputs))):
        monkeypatch.setattr(labels, "drawn_classes", lambda scores, y=y: y)
        total = total + chances.gather(1, y[:, None]).prod() * of()
    return total


def signs(count: int) -> list[tuple[float, ...]]:
    return list(itertools.product((-1.0, 1.0), repeat=count))


def having(problem: Problem, noise: Tensor, of: Callable[[], Tensor]) -> Tensor:
    problem.noise = noise
    return of()


def small(kind: str) -> Problem:
    torch.manual_seed(2)
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 3 if kind == "softmax" else 2))
    targets = torch.tensor([0, 2, 1]) if kind == "softmax" else draw(3, 2, seed=5)
    return Problem(net, draw(3, 2), targets)


@pytest.mark.parametrize("kind", ["softmax", "squared error"])
def test_sophias_estimate_has_the_diagonal_of_the_gauss_newton_matrix_for_a_mean(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = small(kind)
    method = SophiaG()
    found = expected_over_labels(problem, lambda: ravel(method.estimate(problem, problem.params)), monkeypatch)
    torch.testing.assert_close(found, problem.curvature().diagonal(), rtol=1e-10, atol=1e-14)


# In a run


def test_a_network_without_layers_is_refused() -> None:
    problem = Problem(nn.LayerNorm(3), draw(4, 3), draw(4, 3))
    with pytest.raises(ConfigurationError, match="KFAC was given a network without a linear layer"):
        KFAC().attached(problem.composed(), problem.params)
    with pytest.raises(ConfigurationError, match="at most 4 inputs and outputs"):
        EKFAC(largest=4).attached(classifier().composed(), classifier().params)


@pytest.mark.parametrize("method", ["natural_gradient", "sophia_g", "kfac", "ekfac"])
def test_what_has_no_network_or_more_than_one_sum_is_refused(method: str) -> None:
    with pytest.raises(ConfigurationError, match="from a network's outputs, but Rosenbrock has none"):
        descend.run(["objective=rosenbrock", f"optimizer={method}", *QUIET])
    with pytest.raises(ConfigurationError, match="but UPGrad weighs them anew: set aggregator=sum"):
        descend.run(["objective=digits_two_tasks", "aggregator=upgrad", f"optimizer={method}", *QUIET])
    with pytest.raises(ConfigurationError, match="cannot be the method of a group"):
        descend.run(["objective=digits_mlp", "optimizer=groups", f"optimizer@optimizer.groups.rest.optimizer={method}"])


@pytest.mark.parametrize("objective", ["digits_two_tasks", "deep_quadratic"])
def test_a_loss_that_is_no_density_known_is_left_to_the_natural_gradient(objective: str) -> None:
    for method in ("sophia_g", "kfac", "ekfac"):
        with pytest.raises(ConfigurationError, match="has several losses, or a loss of its own"):
            descend.run([f"objective={objective}", f"optimizer={method}", *QUIET])
    found = descend.run([f"objective={objective}", "optimizer=natural_gradient", "steps=3", *QUIET])
    assert found.status == "finished"


@pytest.mark.parametrize("method", ["natural_gradient", "sophia_g", "kfac", "ekfac"])
@pytest.mark.parametrize("other", ["wrap=lookahead", "wrap=sam", "accumulate=4", "clip=norm", "precision=bf16"])
def test_beside_other_parts(method: str, other: str) -> None:
    rate = "optimizer.lr=0.01" if method == "sophia_g" else "seed=0"
    own = ["objective=digits_mlp_small", "objective.batch_size=32", f"optimizer={method}", rate, other]
    found = descend.run([*own, "steps=20", *QUIET])
    assert found.status == "finished"
    assert found.value < 2.0
    assert found.provenance["backend"] == "graph"


@pytest.mark.parametrize("method", ["natural_gradient", "kfac"])
def test_a_step_sees_the_dropout_and_the_batch_norm_of_its_loss(method: str) -> None:
    """The curvature is that of the function whose gradient is given: its value there is the same to the bit."""
    seen = []

    class Looking(NaturalGradient if method == "natural_gradient" else KFAC):  # type: ignore[misc]
        def step(self, params: Params, gradients: Params, state: Any, loss: Any) -> tuple[Params, Any]:
            network = loss.composed()
            seen.append((loss(params), network.outer(network.outputs(params))))
            return super().step(params, gradients, state, loss)

    from descend.engine.experiment import Experiment
    from descend.engine.run import Run, drive
    from descend.menu.build import build
    from descend.menu.compose import compose

    overrides = ["objective=module", "objective.module.dropout=0.5", *QUIET]
    experiment = Experiment(build(compose(overrides), overrides).objective, Looking(), steps=2, compile=False)
    drive(Run(experiment), [])
    for value, again in seen:
        assert torch.equal(value, again)
