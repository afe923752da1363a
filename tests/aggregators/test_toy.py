"""The landscape that tells methods apart: from (9, −1) a path leads along the ridge where plain descent stalls."""

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._pytree import tree_map

from descend.aggregators.aggregator import Aggregator
from descend.aggregators.mean import Mean
from descend.aggregators.min_norm import min_norm_weights
from descend.aggregators.pcgrad import PCGrad
from descend.aggregators.upgrad import UPGrad
from descend.objectives.cagrad_toy import CAGradToy
from descend.optimizers.adam import Adam
from descend.types import State

pytestmark = pytest.mark.long

TOY = CAGradToy(start=(9.0, -1.0))
# The paper makes 12,000 steps of 0.001 before the picture is decided; larger steps decide it sooner.
STEPS, STEP_SIZE = 2_200, 1e-2


def losses_and_gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        leaf = x.detach().requires_grad_()
        losses = TOY.values(leaf)
        rows = [torch.autograd.grad(loss, leaf, retain_graph=True)[0] for loss in losses]
    return torch.stack([loss.detach() for loss in losses]), torch.stack(rows)


def end_of_path(aggregator: Aggregator) -> Tensor:
    adam = Adam(lr=STEP_SIZE)

    def step(x: Tensor, moments: State, weighing: State) -> tuple[Tensor, State, State]:
        losses, rows = losses_and_gradients(x)
        weights, weighing = aggregator.weights(losses, lambda: rows, weighing)
        params, moments = adam.step({"x": x}, {"x": weights @ rows}, moments, lambda params: losses.sum())
        return params["x"], moments, weighing

    params = TOY.init(torch.Generator())
    moments = tree_map(lambda v: torch.as_tensor(v, dtype=torch.float64), adam.init(params))
    carry = (params["x"], moments, aggregator.init(losses_and_gradients(params["x"])[0], ("f1", "f2")))
    with torch.no_grad():
        traced = make_fx(step)(*carry)
        for _ in range(STEPS):
            carry = traced(*carry)
    return carry[0]


def stationarity(x: Tensor) -> float:
    _, rows = losses_and_gradients(x)
    return float((min_norm_weights(rows @ rows.T) @ rows).norm())


def test_the_mean_stalls_on_the_ridge() -> None:
    x = end_of_path(Mean())
    assert abs(float(x[1])) < 0.01
    assert stationarity(x) > 1e-5


@pytest.mark.parametrize("aggregator", [PCGrad(), UPGrad()], ids=lambda a: type(a).__name__)
def test_methods_without_conflict_reach_the_pareto_set(aggregator: Aggregator) -> None:
    x = end_of_path(aggregator)
    assert stationarity(x) <= 1e-6
    assert float((TOY.pareto_set(20_001) - x).norm(dim=1).min()) < 1e-3
