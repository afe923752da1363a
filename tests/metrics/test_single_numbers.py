"""Metrics that hand on what a step saw: learning rate, weights, parameters, test metrics."""

from collections.abc import Callable

import pytest
import torch

from descend.errors import ConfigurationError
from descend.metrics.learning_rate import LearningRate
from descend.metrics.parameter_values import LIMIT, ParameterValues
from descend.metrics.test_metrics import TestMetrics
from descend.metrics.weighted_losses import WeightedLosses
from descend.types import Observation

X = {"x": torch.tensor([1.0, 2.0], dtype=torch.float64)}


@pytest.mark.parametrize("lr", [0.25, torch.tensor(0.25, dtype=torch.float64)])
def test_learning_rate_as_number_or_tensor(observe: Callable[..., Observation], lr: float | torch.Tensor) -> None:
    (value,) = LearningRate()(observe(X, lr=lr)).values()
    assert value.dtype == torch.float64
    assert float(value) == 0.25


def test_several_losses_have_weights(observe: Callable[..., Observation]) -> None:
    losses = {"fit": torch.tensor(2.0), "penalty": torch.tensor(5.0)}
    values = WeightedLosses()(observe(X, losses=losses, weights=torch.tensor([3.0, 0.5])))
    assert {name: float(x) for name, x in values.items()} == {
        "weight/fit": 3.0,
        "weight/penalty": 0.5,
        "weighted_loss/fit": 6.0,
        "weighted_loss/penalty": 2.5,
    }


def test_a_single_loss_has_none(observe: Callable[..., Observation]) -> None:
    assert WeightedLosses()(observe(X)) == {}


def test_parameters_are_named_by_their_index(observe: Callable[..., Observation]) -> None:
    params = {"A": torch.arange(4.0).reshape(2, 2), "x": torch.tensor([7.0]), "s": torch.tensor(9.0)}
    values = {name: float(x) for name, x in ParameterValues()(observe(params)).items()}
    assert values == {
        "parameter/A[0,0]": 0,
        "parameter/A[0,1]": 1,
        "parameter/A[1,0]": 2,
        "parameter/A[1,1]": 3,
        "parameter/x[0]": 7,
        "parameter/s": 9,
    }


def test_many_parameters_have_no_curves(observe: Callable[..., Observation]) -> None:
    assert len(ParameterValues()(observe({"x": torch.ones(LIMIT)}))) == LIMIT
    assert ParameterValues().applies({"x": torch.ones(LIMIT)})
    assert not ParameterValues().applies({"x": torch.ones(LIMIT), "y": torch.ones(())})


def test_test_metrics_stand_in_a_group_of_their_own(observe: Callable[..., Observation]) -> None:
    found = {"accuracy": torch.tensor(0.5), "test_cross_entropy": torch.tensor(2.0)}
    values = TestMetrics()(observe(X, evaluate=lambda: found))
    assert values == {"test/accuracy": found["accuracy"], "test/cross_entropy": found["test_cross_entropy"]}
    assert TestMetrics()(observe(X)) == {}


def test_an_interval_below_one_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="every is 0, but it must be at least 1"):
        LearningRate(every=0)
