"""What the tests of metrics and sinks share: an observation, records, and a result."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from descend.records import Column, Records
from descend.training.result import Result
from descend.types import Loss, Observation, Params


@pytest.fixture
def observe() -> Callable[..., Observation]:
    """Make an observation of a loss at given parameters; everything else can be given too."""

    def make(params: Params, loss: Loss = lambda p: sum((x**2).sum() for x in p.values()), **given) -> Observation:
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        value = loss(leaves)
        gradients = dict(zip(params, torch.autograd.grad(value, list(leaves.values())), strict=True))
        zeros = {name: torch.zeros_like(x) for name, x in params.items()}
        fields = {
            "step": 3,
            "params": params,
            "losses": {"value": value.detach()},
            "weights": torch.ones(1, dtype=value.dtype),
            "gradients": gradients,
            "previous": zeros,
            "update": zeros,
            "lr": 0.1,
            "loss": loss,
            "jacobian": lambda: torch.stack([torch.cat([g.reshape(-1) for g in gradients.values()])]),
            "evaluate": dict,
        }
        return Observation(**(fields | given))

    return make


def column(steps: list[int], values: object) -> Column:
    return Column(np.array(steps, np.int64), np.asarray(values, np.float64))


@pytest.fixture
def records() -> Records:
    """Four steps of a run: a value at each, a norm at every second, a histogram at the last."""
    histogram = [[[-1.0, 0.0, 1.0, 2.0], [1.0, 0.0, 5.0, 2.0]]]
    return Records(
        scalars={
            "value": column([0, 1, 2, 3], [4.0, 1.5, np.nan, np.inf]),
            "loss/a": column([0, 1, 2, 3], [1.0, 2.0, 3.0, 4.0]),
            "gradient/norm": column([0, 2], [1e-3, 2e-3]),
        },
        histograms={"parameter/histogram/x": column([3], histogram)},
    )


@pytest.fixture
def result(records: Records) -> Result:
    return Result(
        status="finished",
        reason="all 3 steps were made",
        steps=3,
        value=0.25,
        best_value=0.125,
        losses={"cross_entropy": 0.2, "penalty": 0.05},
        gradient_norm=1e-3,
        evaluations={"function": 4, "gradient": 4, "hvp": 0, "hessian": 0},
        seconds=2.0,
        parameters={"x": [1.0, 2.0]},
        metrics={"accuracy": 0.975},
        blocks=[records],
    )
