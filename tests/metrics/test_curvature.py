"""The curvature's numbers against whole matrices by torch.autograd.functional and numpy.linalg."""

import dataclasses
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import polars.testing
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

import descend
from descend.derivatives import Density
from descend.errors import ConfigurationError
from descend.menu import FOLDER
from descend.metrics.curvature.curvature import Curvature
from descend.metrics.curvature.eigenvalues import Eigenvalues
from descend.metrics.curvature.layers import Layers
from descend.metrics.curvature.matrices import EmpiricalFisher, Fisher, GaussNewton, Hessian, Matrix
from descend.metrics.curvature.overlap import Overlap
from descend.metrics.curvature.size import Size
from descend.metrics.curvature.spread import Spread, histogram_of
from descend.metrics.curvature.stability import Stability
from descend.objectives.classification import Classification
from descend.objectives.data.digits import Digits
from descend.objectives.networks import MLP
from descend.ops.tanh import Tanh
from descend.types import Observation, Params, Total

N = 6


def curved(params: Params) -> torch.Tensor:
    """A function with a dense Hessian of both signs."""
    x, y = params["one.x"], params["two.y"]
    return torch.sin(x).sum() * torch.cos(y).sum() + (x**3).sum() + (y.sum() ** 2) * x.mean()


def point() -> Params:
    x = torch.linspace(-1, 1.5, N - 2, dtype=torch.float64)
    return {"one.x": x, "two.y": torch.tensor([0.3, -0.8], dtype=torch.float64)}


def matrix_at(params: Params) -> np.ndarray:
    flat = torch.cat(list(params.values()))
    function = lambda v: curved({"one.x": v[: N - 2], "two.y": v[N - 2 :]})  # noqa: E731
    return torch.autograd.functional.hessian(function, flat).numpy()


@pytest.fixture
def seen(observe: Callable[..., Observation]) -> Observation:
    return observe(point(), curved, lr=0.25)


def values_of(observation: Observation, **fields: Any) -> dict[str, np.ndarray]:
    with torch.no_grad():
        return {name: x.numpy() for name, x in Curvature(**fields)(observation).items()}


def test_every_number_of_a_small_problem(seen: Observation) -> None:
    whole = matrix_at(point())
    values, vectors = np.linalg.eigh(whole)
    gradient = np.concatenate([g.numpy() for g in seen.gradients.values()])
    parts = {"e": Eigenvalues(), "s": Size(), "b": Stability(), "o": Overlap(), "l": Layers(), "none": None}
    found = values_of(seen, top=2, bottom=2, parts=parts)
    inside = vectors[:, -2:].T @ gradient
    expected = {
        "top/0": values[-1],
        "top/1": values[-2],
        "bottom/0": values[0],
        "bottom/1": values[1],
        "trace": np.trace(whole),
        "trace_error": 0,
        "frobenius": np.linalg.norm(whole),
        "frobenius_error": 0,
        "effective_rank": np.trace(whole) ** 2 / np.linalg.norm(whole) ** 2,
        "edge": 8,
        "sharpness_times_lr": values[-1] / 4,
        "gradient_overlap": inside @ inside / (gradient @ gradient),
        "layer/one": np.linalg.eigvalsh(whole[: N - 2, : N - 2])[-1],
        "layer/two": np.linalg.eigvalsh(whole[N - 2 :, N - 2 :])[-1],
    }
    assert {name.removeprefix("curvature/") for name in found} == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[f"curvature/{name}"], value, rtol=1e-9, atol=1e-9, err_msg=name)


def test_fewer_eigenvalues_than_asked_for(seen: Observation) -> None:
    found = values_of(seen, top=4, bottom=5, parts={"e": Eigenvalues()})
    assert len(found) == N
    together = sorted(map(float, found.values()))
    np.testing.assert_allclose(together, np.linalg.eigvalsh(matrix_at(point())), rtol=1e-9)


def test_the_density_counts_every_eigenvalue(seen: Observation) -> None:
    edges, counts = values_of(seen, parts={"d": Spread(steps=N, probes=100, bins=8)})["curvature/density"]
    eigenvalues = np.linalg.eigvalsh(matrix_at(point()))
    assert counts.sum() == pytest.approx(N)
    assert edges[-1] == pytest.approx(eigenvalues[-1])
    width = edges[1] - edges[0]
    low, high = edges[0] - width, edges[-1]
    expected, _ = np.histogram(eigenvalues.clip(low, high), bins=8, range=(low, high))  # the ends differ by rounding
    np.testing.assert_allclose(counts, expected, atol=1e-9)  # of so few, the spectrum is known whole


@pytest.mark.parametrize("node", [2.0, 0.0, torch.nan])
def test_a_density_at_one_point_has_bins(node: float) -> None:
    nodes = torch.tensor([node, node], dtype=torch.float64)
    edges, counts = histogram_of(Density(nodes, torch.full_like(nodes, 0.5)), 10, bins=4)
    assert bool((edges.diff() > 0).all())
    assert float(counts.sum()) == (0 if np.isnan(node) else 10)


def net(hidden: list[int]) -> tuple[Classification, Params]:
    objective = Classification(Digits(test_fraction=0.9), MLP(hidden=hidden, activation=Tanh()))
    params = objective.init(torch.Generator().manual_seed(1))
    return objective.to(torch.float64, torch.device("cpu")), params


def view(objective: Classification, examples: float) -> Total:
    batch, weights = objective.sample(examples), torch.ones(1, dtype=torch.float64)
    whole = objective.composed(weights, batch)
    return Total(lambda p: reduce(torch.add, objective.losses(p, batch).values()), whole)


def dense(matrix: Matrix, total: Total, params: Params, count: int = 40) -> torch.Tensor:
    """The first columns of a matrix."""
    with torch.no_grad():  # as the engine calls metrics
        product = matrix.product(total, params)
        return torch.stack([product(v) for v in torch.eye(product.size, dtype=product.dtype)[:count]])


def test_of_a_linear_classifier_hessian_gauss_newton_and_fisher_are_one() -> None:
    objective, params = net([])
    total = view(objective, 20)
    expected = dense(Hessian(), total, params)
    assert expected.abs().max() > 1e-3
    for matrix in (GaussNewton(), Fisher()):
        torch.testing.assert_close(dense(matrix, total, params), expected, rtol=1e-10, atol=1e-13)


def test_beyond_it_gauss_newton_differs_and_has_no_negative_eigenvalue() -> None:
    objective, params = net([3])
    total = view(objective, 20)
    size = sum(x.numel() for x in params.values())
    whole = {type(m): dense(m, total, params, size) for m in (Hessian(), GaussNewton())}
    assert torch.linalg.eigvalsh(whole[Hessian])[0] < -1e-3
    assert torch.linalg.eigvalsh(whole[GaussNewton])[0] > -1e-12


def test_the_empirical_fisher_is_the_mean_of_squared_gradients() -> None:
    objective, params = net([3])
    total = view(objective, 7)
    leaves = {name: x.clone().requires_grad_() for name, x in params.items()}
    rows = []
    for example in objective.sample(7):
        (loss,) = objective.losses(leaves, example[None]).values()
        rows.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(leaves.values()))]))
    g = torch.stack(rows)
    torch.testing.assert_close(dense(EmpiricalFisher(), total, params), (g.T @ g / 7)[:40], rtol=1e-10, atol=1e-14)


def test_the_examples_are_the_same_each_time_and_all_where_there_are_no_more() -> None:
    objective, params = net([3])
    assert torch.equal(objective.sample(5), objective.sample(5))
    assert len(set(objective.sample(5).tolist())) == 5
    assert objective.sample(float("inf")) is objective.sample(len(objective.train_targets)) is None
    total = view(objective, 5)
    assert total.composed is not None
    torch.testing.assert_close(total.composed.outer(total.composed.outputs(params)), total.loss(params))


@pytest.mark.parametrize("matrix", [GaussNewton(), Fisher(), EmpiricalFisher()])
def test_what_needs_a_network_says_so(seen: Observation, matrix: Matrix) -> None:
    with pytest.raises(ConfigurationError, match="made of a network's outputs, and this objective has none"):
        values_of(seen, matrix=matrix)


@pytest.mark.parametrize("fields", [{"budget": 0}, {"budget": 1.1}, {"examples": 0}, {"top": 0}, {"tolerance": 0}])
def test_wrong_numbers(fields: dict) -> None:
    with pytest.raises(ConfigurationError, match=f"Curvature.{next(iter(fields))} is"):
        Curvature(**fields)


def test_the_menu_states_every_field_and_default() -> None:
    stated = OmegaConf.load(FOLDER / "metrics" / "curvature.yaml").curvature
    assert set(stated) - {"_target_"} == {field.name for field in dataclasses.fields(Curvature)}
    made = instantiate(stated, _convert_="all")
    assert {type(part)() for part in made.parts.values()} == set(made.parts.values())


QUIET = ["derivatives=none", "objective=digits_mlp", "objective.network.hidden=[4]", "objective.data.test_fraction=0.9"]


@pytest.mark.parametrize("examples", ["null", "9", "inf"])
def test_the_run_does_not_notice(examples: str) -> None:
    around = torch.get_rng_state()
    few = ["metrics.curvature.top=2", "metrics.curvature.parts.layers=null", "metrics.curvature.every=4"]
    watched = descend.run([*QUIET, "metrics=curvature", "steps=6", *few, f"metrics.curvature.examples={examples}"])
    plain = descend.run([*QUIET, "metrics=none", "steps=6"])
    assert torch.equal(torch.get_rng_state(), around)
    assert watched.evaluations == plain.evaluations
    polars.testing.assert_frame_equal(
        watched.records.filter(name="value"), plain.records.filter(name="value"), check_exact=True
    )
    assert 0 in watched.records.filter(name="curvature/trace")["step"]
    assert 6 in watched.records.filter(name="curvature/trace")["step"]
