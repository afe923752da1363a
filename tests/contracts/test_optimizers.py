"""What every optimizer of the menu must hold; found by its YAML alone."""

import contextlib
import dataclasses
import functools
import inspect
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from as_network import as_network, attached
from hydra.utils import instantiate
from omegaconf import DictConfig
from stated import Leaf, as_tensors, at, numbers
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only, tree_structure
from traced import graph_of

from descend.errors import ConfigurationError
from descend.graph.chance import Chance
from descend.menu import FOLDER
from descend.menu.compose import compose
from descend.optimizers.adamw import AdamW
from descend.optimizers.groups import ParameterGroup
from descend.optimizers.muon import Muon
from descend.optimizers.normuon import NorMuon
from descend.optimizers.optimizer import Optimizer
from descend.types import Params

MENU = Path(__file__).parents[2] / "conf" / "optimizer"
CHOICES = sorted(path.stem for path in MENU.glob("*.yaml"))


def apart(matrices: Optimizer) -> dict[str, Any]:
    """Return groups of a method for matrices, and AdamW with the numbers of Muon's authors for the rest."""
    rest = AdamW(lr=3e-4, betas=(0.9, 0.95), eps=1e-10, weight_decay=0.0)
    groups = {"matrices": ParameterGroup(matrices, kinds=("matrix", "convolution")), "rest": ParameterGroup(rest)}
    return {"groups": groups}


PRESETS = {
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "muon": apart(Muon()),
    "normuon": apart(NorMuon()),
}
STEPS = 8  # past the step at which RAdam changes its form

# Numbers that may be negative, or none at all.
NEGATIVE = {("adafactor", "beta2_decay"), ("polyak", "optimum"), ("stochastic_polyak", "optimum")}
NONE = {("torch", "lr"), ("groups", "lr"), ("muon", "lr"), ("normuon", "lr"), ("adafactor", "eps", 0)}

# Their rate is for gradients that are smaller: here it would be too long a step.
SMALLER = {"schedule_free_sgd": 0.05}

# What they compute at some steps only, or draw, has no form for vmap; the promise of a sweep holds them by name.
UNMAPPED = ("adahessian", "ekfac", "kfac", "psgd_kron", "shampoo", "soap", "sophia_g", "sophia_h")

# They divide by differences that are rounding once they have arrived, as they have here after a few steps, and vmap
# rounds otherwise than one run; the promise of a sweep holds them to the bit.
ARRIVED = ("bfgs",)

# Structure that the defaults leave out, and numbers without which other fields have no effect.
FORMS: dict[str, list[dict[str, Any]]] = {
    "sgd": [{"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}],
    "rmsprop": [{"momentum": 0.5, "centered": True}],
    "adam": [{"amsgrad": True}],
    "nadam": [{"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "radam": [{"decoupled_weight_decay": True, "weight_decay": 0.1}],
    "asgd": [{"t0": 2.0}],
    "ademamix": [{"warmup": 4}],
    "barzilai_borwein": [{"long": True}],
    "soap": [{"every": 2}],
    "shampoo": [{"every": 2, "largest": 1}],
    "kfac": [{"every": 2}],
    "ekfac": [{"every": 2}],
    "torch": [{"name": "LBFGS"}, {"name": "AdamW", "options": {"amsgrad": True}}],
}

Form = tuple[str, tuple[tuple[str, Any], ...]]


@functools.cache
def node(choice: str) -> DictConfig:
    return compose([f"optimizer={choice}"]).optimizer


def build(choice: str, **fields: Any) -> Optimizer:
    return instantiate(node(choice), _convert_="all", **fields)


def named(case: Any) -> str | None:
    return case[0] + "".join(f"-{name}" for name, _ in case[1]) if isinstance(case, tuple) else None


ALL = [(choice, tuple(form.items())) for choice in CHOICES for form in [{}, *FORMS.get(choice, [])]]
BATCHABLE = [case for case in ALL if build(case[0]).batchable]
MAPPABLE = [case for case in BATCHABLE if case[0] not in UNMAPPED + ARRIVED]
every = pytest.mark.parametrize("case", ALL, ids=named)
every_batchable = pytest.mark.parametrize("case", BATCHABLE, ids=named)
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


def make(case: Form) -> Optimizer:
    return attached(build(case[0], **dict(case[1])), residuals, start())


def start(dtype: torch.dtype = torch.float64) -> Params:
    kind: dict[str, Any] = {"generator": torch.Generator("cpu").manual_seed(3), "dtype": dtype, "device": "cpu"}
    return {"weight": torch.randn(3, 2, **kind), "bias": torch.randn(2, **kind), "scale": torch.randn((), **kind)}


def loss(params: Params) -> Tensor:
    """A quadratic with its minimum, 0, at 0.5 in every entry, and steeper in the weights."""
    squares = {name: ((x - 0.5) ** 2).sum() for name, x in params.items()}
    return 5 * squares["weight"] + squares["bias"] + squares["scale"]


def residuals(params: Params) -> Tensor:
    """The vector whose sum of squares `loss` is."""
    return torch.cat([((5**0.5 if name == "weight" else 1) * (x - 0.5)).reshape(-1) for name, x in params.items()])


loss.residuals = residuals  # type: ignore[attr-defined]
loss.composed = lambda: as_network(residuals)  # type: ignore[attr-defined]


def gradients(params: Params) -> Params:
    """The gradient of `loss`."""
    return {name: (10 if name == "weight" else 2) * (x - 0.5) for name, x in params.items()}


Step = Callable[[Params, Any], tuple[Params, Any]]


def stepper(optimizer: Optimizer) -> Step:
    return lambda params, state: step_of(optimizer, params, gradients(params), state)


def step_of(optimizer: Optimizer, params: Params, given: Params, state: Any) -> tuple[Params, Any]:
    """Make a step; what it draws is the same each time, as for the same step of a run."""
    with Chance(0, 0):
        return optimizer.step(params, given, state, loss)


def follow(step: Step, params: Params, state: Any, steps: int = STEPS) -> list[tuple[Params, Any]]:
    path = []
    with torch.no_grad():
        for _ in range(steps):
            params, state = step(params, state)
            path.append((params, state))
    return path


def copied(tree: Any) -> Any:
    return tree_map_only(Tensor, torch.clone, tree)


def assert_same(found: Any, expected: Any, tolerance: float) -> None:
    assert tree_structure(found) == tree_structure(expected)
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


def kinds(tree: Any) -> list[Any]:
    return [(x.shape, x.dtype, x.device) if isinstance(x, Tensor) else type(x) for x in tree_leaves(tree)]


# The menu


@pytest.mark.parametrize("choice", CHOICES)
def test_the_menu_states_every_field_and_default(choice: str) -> None:
    text = (MENU / f"{choice}.yaml").read_text(encoding="utf-8")
    optimizer = build(choice)
    assert text.startswith("# ")
    stated = set(node(choice)) - {"_target_"}
    assert stated == {field.name for field in dataclasses.fields(optimizer)}
    assert optimizer == type(optimizer)(**PRESETS.get(choice, {}))


# A step of torch's L-BFGS is many evaluations, a step of ours is one: its fields are others.
TWINS = [c for c in CHOICES if hasattr(torch.optim, type(build(c)).__name__) and c != "lbfgs"]


@pytest.mark.parametrize("choice", TWINS)
def test_the_defaults_are_those_of_torch(choice: str) -> None:
    optimizer = build(choice)
    twin = inspect.signature(getattr(torch.optim, type(optimizer).__name__)).parameters
    for field in dataclasses.fields(optimizer):
        expected = PRESETS.get(choice, {}).get(field.name, twin[field.name].default)
        assert getattr(optimizer, field.name) == expected, field.name


# One run


@every
@dtypes
def test_pure(case: Form, dtype: torch.dtype) -> None:
    optimizer, params = make(case), start(dtype)
    for _ in range(2):
        state, given = optimizer.init(params), gradients(params)
        before, randomness = copied((params, given, state)), torch.get_rng_state()
        with torch.no_grad():
            first = copied(step_of(optimizer, params, given, state))
            second = step_of(optimizer, params, given, state)
            step_of(optimizer, second[0], given, second[1])
        assert_same((params, given, state), before, 0)
        assert_same(second, first, 0)
        assert torch.equal(torch.get_rng_state(), randomness)
        params = second[0]


@every
@dtypes
def test_keeps_kinds(case: Form, dtype: torch.dtype) -> None:
    optimizer, params = make(case), start(dtype)
    state = optimizer.init(params)
    for new, later in follow(stepper(optimizer), params, state):
        assert kinds(new) == kinds(params)
        if optimizer.batchable:
            assert tree_structure(later) == tree_structure(state)
            assert kinds(later) == kinds(state)
            assert all(isinstance(x, Tensor | float | int) for x in tree_leaves(later))


@every_batchable
@dtypes
def test_keeps_kinds_with_numbers_as_tensors(case: Form, dtype: torch.dtype) -> None:
    params, optimizer = start(dtype), make(case)
    optimizer = at(optimizer, as_tensors(dict(numbers(optimizer))))
    state = as_tensors(optimizer.init(params))
    for new, later in follow(stepper(optimizer), params, state):
        assert kinds(new) == kinds(params)
        assert kinds(later) == kinds(state)


@every
def test_goes_on_from_a_saved_state(case: Form) -> None:
    optimizer, params = make(case), start()
    path = follow(stepper(optimizer), params, optimizer.init(params))
    buffer = io.BytesIO()
    torch.save(path[3], buffer)
    buffer.seek(0)
    params, state = torch.load(buffer, weights_only=True)
    assert_same(follow(stepper(make(case)), params, state, STEPS - 4)[-1], path[-1], 0)


@every
@dtypes
def test_lowers_a_quadratic(case: Form, dtype: torch.dtype) -> None:
    optimizer, params = make(case).scaled(SMALLER.get(case[0], 1.0)), start(dtype)
    values = [loss(new).item() for new, _ in follow(stepper(optimizer), params, optimizer.init(params), 40)]
    assert values[-1] < loss(params).item()


@every_batchable
def test_makes_its_tensors_where_the_parameters_are(case: Form) -> None:
    optimizer, params = make(case), tree_map(lambda x: x.to("meta"), start())
    for tree in follow(stepper(optimizer), params, optimizer.init(params)):
        assert all(x.is_meta for x in tree_leaves(tree) if isinstance(x, Tensor))


@every
def test_a_gradient_that_is_not_a_number_does_not_raise(case: Form) -> None:
    optimizer, params = make(case), {name: x * torch.nan for name, x in start().items()}
    new, _ = follow(stepper(optimizer), params, optimizer.init(params))[-1]
    assert kinds(new) == kinds(params)


# Traced, and many runs at once


@every_batchable
def test_traced_is_eager(case: Form) -> None:
    optimizer, params = make(case), start()
    state = optimizer.init(params)
    with torch.no_grad():
        traced = graph_of(stepper(optimizer), [params, as_tensors(state)])
    found = follow(traced, params, as_tensors(state))
    assert_same(found, as_tensors(follow(stepper(optimizer), params, state)), 1e-12)


@pytest.mark.parametrize("case", MAPPABLE, ids=named)
@pytest.mark.parametrize(("dtype", "axis"), [(torch.float64, -1), (torch.float32, 0)], ids=str)
def test_a_stack_of_runs_is_each_run_alone(case: Form, dtype: torch.dtype, axis: int) -> None:
    params, swept = start(dtype), sweep(make(case))
    runs = [at(make(case), {leaf: values[i] for leaf, values in swept.items()}, checked=True) for i in range(3)]
    alone = stack([follow(stepper(run), params, run.init(params))[-1][0] for run in runs], axis)
    together = run_together(make(case), swept, params, axis)
    assert kinds(together) == kinds(alone)
    assert_same(together, alone, 1e-12 if dtype == torch.float64 else 1e-5)


def sweep(optimizer: Optimizer) -> dict[Leaf, list[float]]:
    """Three values for every number, one of them the default; not where this form refuses all others."""
    swept = {}
    for leaf, value in numbers(optimizer):
        values = [0.9 * value, 0.95 * value, value] if value else [0.0, 0.05, 0.1]
        with contextlib.suppress(ConfigurationError):
            [at(optimizer, {leaf: value}, checked=True) for value in values]
            swept[leaf] = values
    return swept


def stack(trees: list[Any], axis: int) -> Any:
    return tree_map(lambda *leaves: torch.stack(leaves, dim=axis), *trees)


def run_together(optimizer: Optimizer, swept: dict[Leaf, list[float]], params: Params, axis: int) -> Params:
    """The parameters at the end of a program that is traced for one run and stacked: what a sweep does."""

    def step(numbers: list[Tensor], params: Params, state: Any) -> tuple[Params, Any]:
        return stepper(at(optimizer, dict(zip(swept, numbers, strict=True))))(params, state)

    runs = [as_tensors([values[i] for values in swept.values()]) for i in range(3)]
    states = [as_tensors(at(optimizer, dict(zip(swept, run, strict=True))).init(params)) for run in runs]
    with torch.no_grad():
        traced = graph_of(step, [runs[0], params, states[0]])
        many = torch.vmap(traced, in_dims=(0, axis, axis), out_dims=axis)
        found, state = stack([params] * 3, axis), stack(states, axis)
        for _ in range(STEPS):
            found, state = many(stack(runs, 0), found, state)
    return found


# Wrong hyperparameters


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("wrong", [-1.0, float("nan"), "fast", True, None])
def test_refuses_a_wrong_number_and_names_its_field(choice: str, wrong: Any) -> None:
    optimizer = build(choice)
    for leaf, _ in numbers(optimizer):
        if (choice, *leaf) in (NONE if wrong is None else NEGATIVE if wrong == -1 else ()):
            continue
        field = next(name for name in reversed(leaf) if isinstance(name, str))
        with pytest.raises(ConfigurationError, match=rf"\.{field}\b.*\.$"):
            at(optimizer, {leaf: wrong}, checked=True)


@pytest.mark.parametrize("choice", CHOICES)
def test_refuses_a_wrong_pair(choice: str) -> None:
    optimizer = build(choice)
    pairs: tuple[Any, ...] = (0.9, (0.5,), (0.5, 1.2, 1.3), "ab")
    for name in {str(leaf[0]) for leaf, _ in numbers(optimizer) if len(leaf) == 2}:
        for wrong in pairs:
            with pytest.raises(ConfigurationError, match=rf"\.{name}\b.*pair"):
                dataclasses.replace(optimizer, **{name: wrong})


def test_the_menu_says_where_each_learning_rate_comes_from() -> None:
    for choice in CHOICES:
        text = (FOLDER / "optimizer" / f"{choice}.yaml").read_text()
        [line] = [line for line in text.splitlines() if line.startswith("lr:")]
        assert "#" in line, f"conf/optimizer/{choice}.yaml: lr has a value, but no comment says whose"
