"""Every method equals its torch.optim twin over 200 steps in float64.

With drawn hyperparameters both go along the twin's path, each with its own state: an objective under large steps is
chaotic, and so is weight decay where a small norm divides, and would turn the last bit into a difference of any size.
"""

from typing import Any

import pytest
import pytorch_optimizer
import torch
from exact import default_float64
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

decay, weight_decay = st.floats(0, 0.99), st.just(0.0) | st.floats(1e-3, 0.3)
eps, momentum = st.floats(1e-10, 1e-4), st.floats(0.05, 0.99)
betas = st.tuples(st.floats(0, 0.99), st.floats(0.1, 0.9999))
family = {"lr": st.floats(1e-5, 0.05), "betas": betas, "eps": eps, "weight_decay": weight_decay}

sgd_forms = st.one_of(
    st.fixed_dictionaries({"momentum": st.just(0.0)}),
    st.fixed_dictionaries({"momentum": momentum, "dampening": st.floats(0, 1)}),
    st.fixed_dictionaries({"momentum": momentum, "nesterov": st.just(True)}),
)
sgd = st.fixed_dictionaries({"lr": st.floats(1e-6, 2e-4), "weight_decay": weight_decay})
HYPERPARAMETERS: dict[type[Optimizer], st.SearchStrategy | dict[str, st.SearchStrategy]] = {
    GradientDescent: {"lr": st.floats(1e-5, 5e-4)},
    SGD: st.tuples(sgd, sgd_forms).map(lambda pair: pair[0] | pair[1]),
    Adam: family | {"amsgrad": st.booleans()},
    AdamW: family | {"amsgrad": st.booleans()},
    Adamax: family,
    NAdam: family | {"momentum_decay": st.floats(0, 0.1), "decoupled_weight_decay": st.booleans()},
    RAdam: family | {"lr": st.floats(1e-6, 2e-4), "decoupled_weight_decay": st.booleans()},
    RMSprop: {
        "lr": st.floats(1e-4, 0.02),
        "alpha": st.floats(0.1, 0.99),
        "eps": eps,
        "weight_decay": weight_decay,
        "momentum": st.just(0.0) | momentum,
        "centered": st.booleans(),
    },
    Adagrad: {
        "lr": st.floats(1e-3, 0.5),
        "lr_decay": st.floats(0, 0.1),
        "weight_decay": weight_decay,
        "initial_accumulator_value": st.floats(0, 1),
        "eps": eps,
    },
    Adadelta: {"lr": st.floats(0.1, 2.0), "rho": decay, "eps": eps, "weight_decay": weight_decay},
    Rprop: {
        "lr": st.floats(1e-4, 0.1),
        "etas": st.tuples(st.floats(0.2, 0.9), st.floats(1.05, 1.5)),
        "step_sizes": st.tuples(st.floats(1e-8, 1e-5), st.floats(0.01, 1)),
    },
    ASGD: {
        "lr": st.floats(1e-5, 5e-4),
        "lambd": st.floats(0, 0.1),
        "alpha": st.floats(0, 1),
        "t0": st.sampled_from([0.0, 50.0, 1e6]),
        "weight_decay": weight_decay,
    },
    Lion: {"lr": st.floats(1e-5, 0.01), "betas": st.tuples(decay, decay), "weight_decay": weight_decay},
}
TWINS: dict[type[Optimizer], Any] = {
    method: getattr(torch.optim, method.__name__, None) for method in HYPERPARAMETERS
} | {GradientDescent: torch.optim.SGD, Lion: pytorch_optimizer.Lion}

# Settings that make some way on both problems, for the runs on gradients of their own.
TYPICAL: dict[type[Optimizer], dict[str, Any]] = {
    GradientDescent: {"lr": 5e-4},
    SGD: {"lr": 2e-4, "momentum": 0.9},
    RAdam: {"lr": 2e-4},
    ASGD: {"lr": 5e-4},
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


def gradients_at(params: Params, loss: Loss) -> Params:
    leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
    return dict(zip(leaves, torch.autograd.grad(loss(leaves), tuple(leaves.values())), strict=True))


def run_twin(method: type[Optimizer], options: dict[str, Any], problem: str) -> tuple[list[Params], list[Params]]:
    """Return the twin's parameters after each step, and the gradients it was given."""
    loss, start = PROBLEMS[problem]
    params = {name: x.clone().requires_grad_() for name, x in start.items()}
    path, gradients = [], []
    with default_float64():
        optimizer = TWINS[method](list(params.values()), **options)
        for _ in range(STEPS):
            gradients.append(gradients_at(params, loss))
            for name, x in params.items():
                x.grad = gradients[-1][name].clone()
            optimizer.step()
            path.append({name: x.detach().clone() for name, x in params.items()})
    return path, gradients


def run(optimizer: Optimizer, problem: str) -> list[Params]:
    """Return the parameters after each step, on the gradients at its own points."""
    loss, params = PROBLEMS[problem]
    state, path = optimizer.init(params), []
    for _ in range(STEPS):
        g = gradients_at(params, loss)
        with torch.no_grad():
            params, state = optimizer.step(params, g, state, loss)
        path.append(params)
    return path


def run_along(optimizer: Optimizer, problem: str, path: list[Params], gradients: list[Params]) -> list[Params]:
    """Return the parameters after each step, made from the point and on the gradient that the twin had."""
    loss, start = PROBLEMS[problem]
    state, found = optimizer.init(start), []
    with torch.no_grad():
        for params, g in zip([start, *path], gradients, strict=False):
            after, state = optimizer.step(params, g, state, loss)
            found.append(after)
    return found


def assert_equal(found: list[Params], expected: list[Params]) -> None:
    for name in expected[0]:
        reference = torch.stack([params[name] for params in expected])
        assert torch.isfinite(reference).all()
        error = (torch.stack([params[name] for params in found]) - reference).abs().max() / reference.abs().max()
        assert error <= TOLERANCE, f"{name} differs by {error:.1e}"


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", HYPERPARAMETERS, ids=lambda method: method.__name__)
@settings(max_examples=5)
@given(data=st.data())
def test_equals_its_twin_on_the_same_gradients(method: type[Optimizer], problem: str, data: st.DataObject) -> None:
    drawn = HYPERPARAMETERS[method]
    options = data.draw(st.fixed_dictionaries(drawn) if isinstance(drawn, dict) else drawn)
    expected, gradients = run_twin(method, options, problem)
    assert_equal(run_along(method(**options), problem, expected, gradients), expected)


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("method", HYPERPARAMETERS, ids=lambda method: method.__name__)
def test_equals_its_twin_on_gradients_of_its_own(method: type[Optimizer], problem: str) -> None:
    options = TYPICAL.get(method, {})
    expected, _ = run_twin(method, options, problem)
    assert_equal(run(method(**options), problem), expected)
