"""Predicted against actual decrease, where Taylor's polynomial is known by hand."""

from collections.abc import Callable

import pytest
import torch

from descend.errors import ConfigurationError
from descend.metrics.decrease import Decrease
from descend.types import Observation, Params


def quadratic(params: Params) -> torch.Tensor:
    x = params["x"]
    return (torch.tensor([1.0, 10.0], dtype=torch.float64) * x * x).sum() + params["b"] * x.sum()


POINT = {"x": torch.tensor([1.0, -2.0], dtype=torch.float64), "b": torch.tensor(3.0, dtype=torch.float64)}
UPDATE = {"x": torch.tensor([0.1, 0.2], dtype=torch.float64), "b": torch.tensor(-1.0, dtype=torch.float64)}


def test_second_order_is_exact_on_a_quadratic(observe: Callable[..., Observation]) -> None:
    values = {name: float(x) for name, x in Decrease(order=2)(observe(POINT, quadratic, update=UPDATE)).items()}
    # f(x) = 38, f(x + d) = 1.21 + 32.4 + 2 (−0.7) = 32.21; ∇f = (5, −37, −1), ⟨∇f, d⟩ = −5.9
    assert values == pytest.approx({"decrease/actual": 5.79, "decrease/order_1": 5.9, "decrease/order_2": 5.79})


def test_first_order_takes_the_gradient_that_was_observed(observe: Callable[..., Observation]) -> None:
    seen = observe(POINT, quadratic, update=UPDATE)
    values = {name: float(x) for name, x in Decrease()(seen).items()}
    assert values == pytest.approx({"decrease/actual": 5.79, "decrease/order_1": 5.9})


def test_the_weights_count(observe: Callable[..., Observation]) -> None:
    losses = {"a": torch.tensor(2.0, dtype=torch.float64), "b": torch.tensor(7.0, dtype=torch.float64)}
    weights = torch.tensor([3.0, 0.5], dtype=torch.float64)
    loss = 9.5  # the same weighted total at the new point: no decrease
    seen = observe(POINT, quadratic, update=UPDATE, losses=losses, weights=weights)
    object.__setattr__(seen, "loss", lambda params: torch.tensor(loss, dtype=torch.float64))
    assert float(Decrease()(seen)["decrease/actual"]) == 0.0


def test_every_order_of_a_cubic_is_its_taylor_polynomial(observe: Callable[..., Observation]) -> None:
    """x³ at 2 along −1: 8 − 12 + 6 − 1, and nothing beyond."""
    x, d = torch.tensor(2.0, dtype=torch.float64), torch.tensor(-1.0, dtype=torch.float64)
    values = Decrease(order=4)(observe({"x": x}, lambda p: p["x"] ** 3, update={"x": d}))
    expected = {"actual": 7, "order_1": 12, "order_2": 6, "order_3": 7, "order_4": 7}
    assert {name: float(v) for name, v in values.items()} == pytest.approx(
        {f"decrease/{name}": v for name, v in expected.items()}
    )


def test_an_order_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"order is 0, but it must be at least 1"):
        Decrease(order=0)
