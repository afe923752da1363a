"""The two phases against torch.optim's own loop, and the line search's demand of one function."""

import pytest
import torch

from descend.aggregators.min_norm import MinNorm
from descend.aggregators.sum import Sum
from descend.aggregators.upgrad import UPGrad
from descend.engine.experiment import Experiment
from descend.errors import ConfigurationError
from descend.objectives.fonseca_fleming import FonsecaFleming
from descend.optimizers.adam_then_lbfgs import AdamThenLBFGS
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.torch_optim import TorchOptim
from descend.types import Params

ADAM, LBFGS = 7, 4


def start() -> Params:
    generator = torch.Generator().manual_seed(5)
    return {"x": torch.randn(6, generator=generator, dtype=torch.float64)}


def loss(params: Params) -> torch.Tensor:
    x = params["x"]
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def by_hand() -> torch.Tensor:
    params = {"x": start()["x"].requires_grad_()}
    adam = torch.optim.Adam(list(params.values()), lr=0.02)
    for _ in range(ADAM):
        adam.zero_grad()
        loss(params).backward()
        adam.step()
    lbfgs = torch.optim.LBFGS(
        list(params.values()),
        lr=1.0,
        max_iter=3,
        history_size=5,
        line_search_fn="strong_wolfe",
        tolerance_grad=0.0,
        tolerance_change=0.0,
    )

    def closure() -> torch.Tensor:
        lbfgs.zero_grad()
        value = 2**20 * loss(params)
        value.backward()
        return value.detach()

    for _ in range(LBFGS):
        lbfgs.step(closure)
    return params["x"].detach()


def test_it_is_torchs_adam_and_then_torchs_lbfgs() -> None:
    optimizer, params = AdamThenLBFGS(lr=0.02, adam_steps=ADAM, max_iter=3, history_size=5), start()
    state = optimizer.init(params)
    for _ in range(ADAM + LBFGS):
        x = params["x"].detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss({"x": x}), x)
        with torch.no_grad():
            params, state = optimizer.step(params, {"x": gradient}, state, loss)
    torch.testing.assert_close(params["x"], by_hand(), rtol=1e-9, atol=1e-9)


def test_lbfgs_minimises_where_adam_is_slow() -> None:
    optimizer, params = AdamThenLBFGS(adam_steps=0), start()
    state = optimizer.init(params)
    with torch.no_grad():
        for _ in range(15):
            params, state = optimizer.step(params, {"x": torch.zeros(6, dtype=torch.float64)}, state, loss)
    torch.testing.assert_close(loss(params), torch.zeros((), dtype=torch.float64), rtol=0, atol=1e-20)


def test_lbfgs_learns_from_small_losses_too() -> None:
    """As torch's class does not: it drops a pair of differences where yᵀs ≤ 1e-10."""
    small = 1e-9
    optimizer, params = AdamThenLBFGS(adam_steps=0), start()
    state = optimizer.init(params)
    with torch.no_grad():
        for _ in range(15):
            gradient = {"x": torch.zeros(6, dtype=torch.float64)}
            params, state = optimizer.step(params, gradient, state, lambda params: small * loss(params))
    assert loss(params) < 1e-9

    options = {"max_iter": 150, "tolerance_grad": 0, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
    plain = TorchOptim(name="LBFGS", options=options)
    params = start()
    with torch.no_grad():
        params, _ = plain.step(params, params, plain.init(params), lambda params: small * loss(params))
    assert loss(params) > 0.1


SEARCHING = [AdamThenLBFGS(), TorchOptim(name="LBFGS", options={"line_search_fn": "strong_wolfe"})]


@pytest.mark.parametrize("optimizer", SEARCHING, ids=lambda x: type(x).__name__)
@pytest.mark.parametrize("aggregator", [MinNorm(), UPGrad()], ids=lambda x: type(x).__name__)
def test_a_line_search_is_refused_where_there_is_no_one_function(
    optimizer: Optimizer, aggregator: MinNorm | UPGrad
) -> None:
    with pytest.raises(ConfigurationError, match=rf"{type(aggregator).__name__} is not the gradient of one function"):
        Experiment(FonsecaFleming(), optimizer, aggregator)


@pytest.mark.parametrize("optimizer", SEARCHING, ids=lambda x: type(x).__name__)
def test_a_line_search_takes_weights_that_it_can_hold(optimizer: Optimizer) -> None:
    assert Experiment(FonsecaFleming(), optimizer, Sum()).optimizer is optimizer


def test_without_a_line_search_any_aggregator_is_taken() -> None:
    assert Experiment(FonsecaFleming(), TorchOptim(name="LBFGS"), MinNorm()).aggregator == MinNorm()
