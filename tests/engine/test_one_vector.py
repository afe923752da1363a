"""Parameters laid end to end: the same numbers, to the bit, as one by one."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hydra.utils import instantiate

from descend.engine.flat import ALIGNED, VECTOR, VectorLayout, begin_state, make_update, takes_vector
from descend.menu.compose import compose
from descend.optimizers.adam import Adam
from descend.optimizers.groups import Groups
from descend.optimizers.optimizer import Optimizer
from descend.types import Loss, Params, State

# By name: one that stops being entrywise, or becomes so, is to be looked at.
ENTRYWISE = {
    "adabelief": {"weight_decay": 0.1},
    "adadelta": {"weight_decay": 0.1},
    "adagrad": {"lr_decay": 0.1},
    "adam": {"amsgrad": True, "weight_decay": 0.1},
    "adamax": {"weight_decay": 0.1},
    "adamw": {"weight_decay": 0.1},
    "ademamix": {"weight_decay": 0.1, "warmup": 4},
    "adopt": {"weight_decay": 0.1},
    "asgd": {"t0": 2.0},
    "gradient_descent": {},
    "lion": {"weight_decay": 0.1},
    "momentum": {},
    "nadam": {"weight_decay": 0.1},
    "nesterov": {},
    "radam": {"weight_decay": 0.1},
    "rmsprop": {"momentum": 0.5, "centered": True},
    "rprop": {},
    "schedule_free_adamw": {"weight_decay": 0.1},
    "schedule_free_sgd": {"weight_decay": 0.1},
    "sgd": {"weight_decay": 0.1},
    "signum": {"weight_decay": 0.1},
}
BY_PARAMETER = {
    *("adafactor", "adahessian", "adam_then_lbfgs", "barzilai_borwein", "bfgs", "came", "cubic", "dadapt_adam"),
    *("dogleg", "ekfac", "gauss_newton", "kfac", "lamb", "lars", "lbfgs", "levenberg_marquardt", "mars"),
    *("natural_gradient", "newton", "newton_cg", "nonlinear_cg", "polyak", "prodigy", "psgd_kron", "shampoo"),
    *("soap", "sophia_g", "sophia_h", "stochastic_polyak", "torch", "trust_region", "trust_region_cg"),
}
BY_GROUP = {"groups", "muon", "normuon"}
SHAPES = {"weight": (7, 11), "bias": (7,), "scale": (), "kernel": (3, 2, 5)}


def drawn(dtype: torch.dtype, generator: torch.Generator) -> Params:
    return {name: torch.randn(shape, dtype=dtype, generator=generator) for name, shape in SHAPES.items()}


def no_loss(params: Params) -> Any:
    raise AssertionError("an entrywise method does not evaluate the loss")


@pytest.fixture
def menu() -> set[str]:
    from pathlib import Path

    return {path.stem for path in (Path(__file__).parents[2] / "conf" / "optimizer").glob("*.yaml")}


def test_every_optimizer_of_the_menu_is_named(menu: set[str]) -> None:
    assert menu == {*ENTRYWISE, *BY_PARAMETER, *BY_GROUP}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", sorted(ENTRYWISE))
def test_a_vector_gives_the_bits_that_single_parameters_give(name: str, dtype: torch.dtype) -> None:
    settings = [f"optimizer.{field}={value}" for field, value in ENTRYWISE[name].items()]
    optimizer = instantiate(compose([f"optimizer={name}", *settings]).optimizer, _convert_="all")
    generator = torch.Generator().manual_seed(1)
    params = drawn(dtype, generator)
    assert takes_vector(optimizer, params)
    alone, own = params, optimizer.begin(params, 0)
    state = begin_state(optimizer, params, 0)
    for _ in range(8):
        gradients = drawn(dtype, generator)
        alone, own = optimizer.step(alone, gradients, own, no_loss)
        params, state = make_update(optimizer, params, gradients, state, no_loss)
        for at, x in alone.items():
            assert x.equal(params[at]), at
            assert x.shape == params[at].shape


def test_each_parameter_begins_at_an_aligned_address_with_zeros_between() -> None:
    for dtype in (torch.float32, torch.float64):
        params = drawn(dtype, torch.Generator().manual_seed(2))
        layout = VectorLayout.of(params)
        vector = layout.joined(params)
        parts = layout.split(vector)
        assert all(x.equal(params[name]) for name, x in parts.items())
        assert all(x.storage_offset() * x.element_size() % ALIGNED == 0 for x in parts.values())
        assert vector.abs().sum().item() == pytest.approx(sum(x.abs().sum().item() for x in params.values()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_vector_for_each_group_gives_the_bits_that_single_parameters_give(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(4)
    params = {f"{layer}.{name}": x for layer in "ab" for name, x in drawn(dtype, generator).items()}
    params |= {f"more.{name}": x.repeat(65) for name, x in params.items() if x.dim() == 1}
    optimizer = Groups()
    alone, own, state = params, optimizer.begin(params, 0), begin_state(optimizer, params, 0)
    assert all(VECTOR in each for each in state.values())
    for _ in range(8):
        gradients = {name: torch.randn(x.shape, dtype=dtype, generator=generator) for name, x in params.items()}
        alone, own = optimizer.step(alone, gradients, own, no_loss)
        params, state = make_update(optimizer, params, gradients, state, no_loss)
        assert all(x.equal(params[name]) for name, x in alone.items())


@dataclass(frozen=True)
class ByNorm(Adam):
    """Made of Adam, but each parameter's step has the length of the parameter."""

    def step(self, params: Params, gradients: Params, state: State, loss: Loss) -> tuple[Params, State]:
        new, state = super().step(params, gradients, state, loss)
        return {name: x + (new[name] - x) * x.norm() for name, x in params.items()}, state


def test_a_class_made_of_an_entrywise_one_is_given_its_parameters_one_by_one() -> None:
    params = drawn(torch.float64, torch.Generator().manual_seed(3))
    assert takes_vector(Adam(), params)
    assert not takes_vector(ByNorm(), params)
    assert VECTOR not in begin_state(ByNorm(), params, 0)


@pytest.mark.parametrize(
    "params",
    [
        {"x": torch.ones(100)},
        {"x": torch.ones(10), "y": torch.ones(10)},
        {"x": torch.ones(100), "y": torch.ones(100, dtype=torch.float64)},
    ],
    ids=["one parameter", "few entries", "two precisions"],
)
def test_what_is_left_as_it_is(params: Params) -> None:
    optimizer: Optimizer = Adam()
    assert not takes_vector(optimizer, params)
    assert begin_state(optimizer, params, 0).keys() == optimizer.init(params).keys()
