"""Norms and the cosine against NumPy on the concatenated vectors."""

from collections.abc import Callable

import numpy as np
import torch

from descend.metrics.gradient_cosine import GradientCosine
from descend.metrics.gradient_norm import GradientNorm
from descend.metrics.update_norm import UpdateNorm
from descend.types import Observation, Params


def drawn(seed: int) -> Params:
    generator = torch.Generator().manual_seed(seed)
    shapes = {"w": (4, 3), "b": (3,), "s": ()}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


def flat(params: Params) -> np.ndarray:
    return np.concatenate([x.numpy().ravel() for x in params.values()])


def test_gradient_norm_in_total_and_by_parameter(observe: Callable[..., Observation]) -> None:
    gradients = drawn(1)
    values = GradientNorm()(observe(drawn(0), gradients=gradients))
    expected = {"gradient/norm": np.linalg.norm(flat(gradients))}
    expected |= {f"gradient/norm/{name}": np.linalg.norm(g.numpy()) for name, g in gradients.items()}
    assert list(values) == list(expected)
    np.testing.assert_allclose([float(x) for x in values.values()], list(expected.values()), rtol=1e-14)


def test_one_parameter_has_one_norm(observe: Callable[..., Observation]) -> None:
    assert list(GradientNorm()(observe({"x": torch.ones(3, dtype=torch.float64)}))) == ["gradient/norm"]


def test_cosine_of_successive_gradients(observe: Callable[..., Observation]) -> None:
    gradients, previous = drawn(1), drawn(2)
    (value,) = GradientCosine()(observe(drawn(0), gradients=gradients, previous=previous)).values()
    a, b = flat(gradients), flat(previous)
    np.testing.assert_allclose(float(value), a @ b / np.linalg.norm(a) / np.linalg.norm(b), rtol=1e-13)
    (opposite,) = GradientCosine()(
        observe(drawn(0), gradients=gradients, previous={name: -2 * g for name, g in gradients.items()})
    ).values()
    np.testing.assert_allclose(float(opposite), -1, rtol=1e-14)


def test_cosine_is_zero_where_a_gradient_is(observe: Callable[..., Observation]) -> None:
    assert float(GradientCosine()(observe(drawn(0)))["gradient/cosine"]) == 0.0


def test_cosine_of_a_gradient_that_is_not_finite_is_not_hidden(observe: Callable[..., Observation]) -> None:
    broken = drawn(1) | {"b": torch.full((3,), torch.nan, dtype=torch.float64)}
    assert GradientCosine()(observe(drawn(0), gradients=broken, previous=drawn(2)))["gradient/cosine"].isnan()


def test_update_norm_and_ratio(observe: Callable[..., Observation]) -> None:
    params, update = drawn(0), drawn(1)
    values = {name: float(x) for name, x in UpdateNorm()(observe(params, update=update)).items()}
    size, length = np.linalg.norm(flat(params)), np.linalg.norm(flat(update))
    expected = {"parameter/norm": size, "update/norm": length, "update/ratio": length / size}
    assert list(values) == list(expected)
    np.testing.assert_allclose(list(values.values()), list(expected.values()), rtol=1e-14)


def test_at_the_end_the_parameters_alone_have_a_norm(observe: Callable[..., Observation]) -> None:
    assert list(UpdateNorm()(observe(drawn(0), update=None))) == ["parameter/norm"]
