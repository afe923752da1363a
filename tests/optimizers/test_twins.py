"""Every method equals its torch.optim twin: 200 steps, float64, drawn hyperparameters, two objectives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytorch_optimizer
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from descend.optimizers.adadelta import Adadelta
from descend.optimizers.adagrad import Adagrad
from descend.optimizers.adam import Adam
from descend.optimizers.adamax import Adamax
from descend.optimizers.adamw import AdamW
from descend.optimizers.asgd import ASGD
from descend.optimizers.gradient_descent import GradientDescent
from descend.optimizers.lion import Lion
from descend.optimizers.nadam import NAdam
from descend.optimizers.optimizer import Optimizer
from descend.optimizers.radam import RAdam
from descend.optimizers.rmsprop import RMSprop
from descend.optimizers.rprop import Rprop
from descend.optimizers.sgd import SGD
from descend.types import Loss, Params

STEPS = 200
TOLERANCE = 1e-12

# Drawn where the dynamics do not amplify a rounding error by more than some hundreds: large steps on Rosenbrock's
# walls, and Adam with next to no averaging around a minimum, are chaotic for the twins too.
decay, momentum = st.floats(0.8, 0.99), st.floats(0.05, 0.9)
eps, weight_decay = st.floats(1e-10, 1e-4), st.just(0.0) | st.floats(1e-3, 0.3)
betas = st.tuples(st.floats(0.5, 0.95), st.floats(0.9, 0.9999))
family = {"betas": betas, "eps": eps, "weight_decay": weight_decay}


def fields(low: float, high: float, **others: st.SearchStrategy) -> st.SearchStrategy:
    return st.fixed_dictionaries({"lr": st.floats(low, high)} | others)


sgd_forms = st.one_of(
    st.fixed_dictionaries({"momentum": st.just(0.0)}),
    st.fixed_dictionaries({"momentum": momentum, "dampening": st.floats(0, 1)}),
    st.fixed_dictionaries({"momentum": momentum, "nesterov": st.just(True)}),
)
TWINS: dict[type[Optimizer], tuple[type, st.SearchStrategy]] = {
    GradientDescent: (torch.optim.SGD, fields(1e-5, 5e-4)),
    SGD: (
        torch.optim.SGD,
        st.tuples(fields(1e-5, 2e-4, weight_decay=weight_decay), sgd_forms).map(lambda pair: pair[0] | pair[1]),
    ),
    Adam: (torch.optim.Adam, fields(1e-4, 5e-3, **family, amsgrad=st.booleans())),
    AdamW: (torch.optim.AdamW, fields(1e-4, 5e-3, **family, amsgrad=st.booleans())),
    Adamax: (torch.optim.Adamax, fields(1e-4, 5e-3, **family)),
    NAdam: (
        torch.optim.NAdam,
        fields(1e-4, 5e-3, **family, momentum_decay=st.floats(0, 0.1), decoupled_weight_decay=st.booleans()),
    ),
    RAdam: (torch.optim.RAdam, fields(1e-5, 1e-3, **family, decoupled_weight_decay=st.booleans())),
    RMSprop: (
        torch.optim.RMSprop,
        fields(
            *(1e-4, 5e-3),
            alpha=decay,
            eps=eps,
            weight_decay=weight_decay,
            momentum=st.just(0.0) | st.floats(0.05, 0.8),
            centered=st.booleans(),
        ),
    ),
    Adagrad: (
        torch.optim.Adagrad,
        fields(
            *(1e-3, 0.2),
            lr_decay=st.floats(0, 0.1),
            weight_decay=weight_decay,
            initial_accumulator_value=st.floats(0, 1),
            eps=eps,
        ),
    ),
    Adadelta: (torch.optim.Adadelta, fields(0.1, 2.0, rho=decay, eps=eps, weight_decay=weight_decay)),
    Rprop: (
        torch.optim.Rprop,
        fields(
            *(1e-4, 0.05),
            etas=st.tuples(st.floats(0.2, 0.9), st.floats(1.05, 1.3)),
            step_sizes=st.tuples(st.floats(1e-8, 1e-5), st.floats(0.01, 1)),
        ),
    ),
    ASGD: (
        torch.optim.ASGD,
        fields(
            *(1e-5, 5e-4),
            lambd=st.floats(0, 0.1),
            alpha=st.floats(0, 1),
            t0=st.sampled_from([0.0, 50.0, 1e6]),
            weight_decay=weight_decay,
        ),
    ),
    Lion: (
        pytorch_optimizer.Lion,
        fields(1e-5, 2e-3, betas=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)), weight_decay=weight_decay),
    ),
}


def rosenbrock(params: Params) -> torch.Tensor:
    x = params["x"]
    return 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2


generator = torch.Generator(device="cpu").manual_seed(7)
inputs = torch.randn(12, 3, generator=generator, dtype=torch.float64, device="cpu")
targets = torch.randn(12, 2, generator=generator, dtype=torch.float64, device="cpu")


def regression(params: Params) -> torch.Tensor:
    """A small nonlinear regression with a matrix, a vector and a scalar among its parameters."""
    predicted = params["scale"] * torch.tanh(inputs @ params["weight"] + params["bias"])
    return ((predicted - targets) ** 2).mean()


PROBLEMS: dict[str, tuple[Loss, Params]] = {
    "rosenbrock": (rosenbrock, {"x": torch.tensor([-1.2, 1.0], dtype=torch.float64)}),
    "regression": (
        regression,
        {
            "weight": torch.randn(3, 2, generator=generator, dtype=torch.float64, device="cpu"),
            "bias": torch.tensor([0.3, -0.2], dtype=torch.float64),
            "scale": torch.tensor(1.5, dtype=torch.float64),
        },
    ),
}


@contextmanager
def default_float64() -> Iterator[None]:
    """torch's twins keep their counters and averages of numbers in the default dtype."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def path_of_twin(twin: Callable[..., Any], options: dict[str, Any], loss: Loss, start: Params) -> list[Params]:
    params = {name: x.clone().requires_grad_() for name, x in start.items()}
    path = []
    with default_float64():
        optimizer = twin(list(params.values()), **options)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss(params).backward()
            optimizer.step()
            path.append({name: x.detach().clone() for name, x in params.items()})
    return path


def path_of(optimizer: Optimizer, loss: Loss, start: Params) -> list[Params]:
    params, state, path = start, optimizer.init(start), []
    for _ in range(STEPS):
        leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
        gradients = dict(zip(leaves, torch.autograd.grad(loss(leaves), tuple(leaves.values())), strict=True))
        with torch.no_grad():
            params, state = optimizer.step(params, gradients, state, loss)
        path.append(params)
    return path


def stacked(path: list[Params], name: str) -> torch.Tensor:
    return torch.stack([params[name] for params in path])


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", TWINS, ids=lambda method: method.__name__)
@settings(max_examples=6)
@given(data=st.data())
def test_equals_its_twin(method: type[Optimizer], problem: str, data: st.DataObject) -> None:
    twin, hyperparameters = TWINS[method]
    options = data.draw(hyperparameters)
    loss, start = PROBLEMS[problem]
    expected, found = path_of_twin(twin, options, loss, start), path_of(method(**options), loss, start)
    for name in start:
        reference = stacked(expected, name)
        assert torch.isfinite(reference).all()
        error = (stacked(found, name) - reference).abs().max() / reference.abs().max()
        assert error <= TOLERANCE, f"{name} differs by {error:.1e}"
