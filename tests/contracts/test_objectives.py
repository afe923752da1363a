"""Every objective of the menu, held to the contract of `descend.objectives.objective.Objective`."""

import copy
import dataclasses
import functools
import importlib
import inspect
import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from scipy.optimize import minimize
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.overrides import TorchFunctionMode
from toy_networks import toy
from traced import graph_of

from descend.menu.compose import compose
from descend.objectives.expression import Expression
from descend.objectives.objective import Objective
from descend.objectives.test_function import TestFunction
from descend.types import Batch, Losses, Params

CONF = Path(__file__).parents[2] / "conf"
FOLDER = CONF / "objective"
MENU = sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.rglob("*.yaml"))
NOT_THE_DERIVATIVE = {"detached"}
"""Choices made to show a gradient that isn't the function's own."""
FACTORIES = {
    *(torch.tensor, torch.as_tensor, torch.full, torch.zeros, torch.ones, torch.empty, torch.eye),
    *(torch.arange, torch.linspace, torch.rand, torch.randn, torch.randperm, torch.randint),
}


@functools.cache
def made(name: str) -> Any:
    """The objective of a choice, in float64, with a smooth op so that finite differences meet no kink."""
    config = OmegaConf.create({"op": OmegaConf.load(CONF / "op" / "tanh.yaml"), "objective": node(name)})
    return instantiate(config.objective, _convert_="all")


def node(name: str) -> Any:
    """The node of a choice as the menu composes it, its data included; of a large network the toy."""
    return compose([f"objective={name}", *toy(name)]).objective


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_batch(objective: Objective, seed: int = 0) -> Batch:
    """A batch, cut to 16 examples where it is of indices."""
    batch = next(iter(objective.batches(seeded(seed))))
    return batch[:16] if isinstance(batch, Tensor) else batch


def shaken(objective: Objective, seed: int) -> Params:
    """The start of a seed, each number moved by up to a tenth, so that fixed starts differ too."""
    generator = seeded(seed)
    start = objective.init(seeded(seed))
    return {
        name: x + 0.1 * (2 * torch.rand(x.shape, generator=generator, dtype=x.dtype) - 1) for name, x in start.items()
    }


def losses_and_gradients(objective: Objective, params: Params, batch: Batch) -> tuple[Losses, tuple[Tensor, ...]]:
    leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
    losses = objective.losses(leaves, batch)
    total = torch.stack(list(losses.values())).sum()
    gradients = torch.autograd.grad(total, list(leaves.values()), materialize_grads=True)
    return {name: loss.detach() for name, loss in losses.items()}, gradients


def total(objective: Objective, params: Params, batch: Batch) -> Tensor:
    return torch.stack(list(objective.losses(params, batch).values())).sum()


def close(found: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-9) -> None:
    torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)


def class_of(part: Any) -> type:
    module, _, name = part._target_.rpartition(".")
    return getattr(importlib.import_module(module), name)


TEST_FUNCTIONS = [name for name in MENU if issubclass(class_of(node(name)), TestFunction)]
EXPRESSIONS = [name for name in MENU if issubclass(class_of(node(name)), Expression)]
DERIVABLE = [name for name in (*TEST_FUNCTIONS, *EXPRESSIONS) if name not in NOT_THE_DERIVATIVE]
WITH_FLOATS = [name for name in MENU if any(field.type is float for field in dataclasses.fields(class_of(node(name))))]


@pytest.fixture(params=MENU)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def objective(name: str) -> Objective:
    return made(name)


def test_the_menu_is_not_empty() -> None:
    assert len(MENU) >= 45


def nodes_with_a_class(config: Any) -> Iterator[Any]:
    if OmegaConf.is_dict(config):
        if "_target_" in config:
            yield config
        for key in config:
            if not OmegaConf.is_interpolation(config, key):
                yield from nodes_with_a_class(config[key])


def test_a_choice_says_what_it_is_and_states_every_field(name: str) -> None:
    first_line = (FOLDER / f"{name}.yaml").read_text().splitlines()[0]
    assert first_line.startswith("# ")
    assert 10 <= len(first_line) <= 120
    for part in nodes_with_a_class(node(name)):
        assert set(part) - {"_target_", "_partial_"} == set(inspect.signature(class_of(part)).parameters)


# None, the default, is the whole data, which is the slower way to train a network.
PRESET = {("digits_two_tasks", "batch_size")}


def test_the_one_choice_of_a_class_states_its_defaults() -> None:
    choices = Counter(node(name)._target_ for name in MENU)
    alone = [name for name in MENU if choices[node(name)._target_] == 1]
    assert len(alone) >= 20
    for name in alone:
        for field in dataclasses.fields(made(name)):
            if field.default is not dataclasses.MISSING and (name, field.name) not in PRESET:
                container: Any = OmegaConf.to_container(node(name))
                stated = container[field.name]
                default = list(field.default) if isinstance(field.default, tuple) else field.default
                assert stated == default, (name, field.name)


def test_init_depends_on_the_seed_alone(objective: Objective) -> None:
    first = objective.init(seeded(3))
    again = {name: x.clone() for name, x in objective.init(seeded(3)).items()}
    assert list(first) == list(again)
    for name, x in first.items():
        assert x.dtype == torch.float64
        assert torch.isfinite(x).all()
        assert torch.equal(x, again[name])
        x.add_(1)  # a start handed out is the caller's own
    for name, x in objective.init(seeded(3)).items():
        assert torch.equal(x, again[name])


def test_losses_are_named_finite_scalars_and_leave_the_parameters_alone(objective: Objective) -> None:
    params = objective.init(seeded(0))
    before = {name: x.clone() for name, x in params.items()}
    losses = objective.to(torch.float64, torch.device("cpu")).losses(params, a_batch(objective))
    assert losses
    for name, loss in losses.items():
        assert isinstance(name, str)
        assert loss.shape == ()
        assert loss.dtype == torch.float64
        assert torch.isfinite(loss)
    assert all(torch.equal(params[name], before[name]) for name in params)
    again = objective.losses(params, a_batch(objective))
    assert all(torch.equal(losses[name], again[name]) for name in losses)


def test_batches_depend_on_the_seed_alone(objective: Objective) -> None:
    first, again, other = (list(itertools.islice(objective.batches(seeded(seed)), 40)) for seed in (0, 0, 1))
    if first[0] is None:
        assert set(first) == {None}
        return
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))
    assert {len(batch) for batch in first} == {objective.batch_size}


@pytest.mark.parametrize("name", [name for name in MENU if name not in NOT_THE_DERIVATIVE])
def test_gradient_is_the_limit_of_differences(name: str) -> None:
    """Central differences at h and h/2 with Richardson's extrapolation, along drawn directions of the start's size."""
    objective = made(name)
    params, batch = shaken(objective, seed=1), a_batch(objective)
    _, gradients = losses_and_gradients(objective, params, batch)
    generator = seeded(2)
    sizes, h = {name: max(1.0, float(x.abs().max())) for name, x in params.items()}, 1e-4

    def difference(direction: Params, step: float) -> Tensor:
        ahead, behind = (
            total(objective, {name: x + sign * step * direction[name] for name, x in params.items()}, batch)
            for sign in (1, -1)
        )
        return (ahead - behind) / (2 * step)

    noise = 1e-15 * (1 + float(total(objective, params, batch).detach().abs())) / h
    for _ in range(3):
        drawn = {name: torch.randn(x.shape, generator=generator, dtype=x.dtype) for name, x in params.items()}
        direction = {name: sizes[name] * x for name, x in drawn.items()}
        expected = (4 * difference(direction, h / 2) - difference(direction, h)) / 3
        found = torch.stack([(g * v).sum() for g, v in zip(gradients, direction.values(), strict=True)]).sum()
        close(found, expected, rtol=1e-6, atol=1e-9 + 100 * noise)


@pytest.mark.parametrize("name", DERIVABLE)
def test_first_and_second_derivatives_pass_gradcheck(name: str) -> None:
    objective = made(name)
    batch = a_batch(objective)
    for seed in range(3):
        params = shaken(objective, seed)

        def value(*leaves: Tensor, names: tuple[str, ...] = tuple(params)) -> Tensor:
            return total(objective, dict(zip(names, leaves, strict=True)), batch)

        leaves = tuple(x.requires_grad_() for x in params.values())
        scale = max(1.0, float(value(*leaves).detach().abs()))
        assert gradcheck(value, leaves, atol=1e-5 * scale)
        assert gradgradcheck(value, leaves, atol=1e-5 * scale)


def test_traced_and_batched_over_runs_equals_a_loop(objective: Objective) -> None:
    runs = [shaken(objective, seed) for seed in range(3)]
    batches = [a_batch(objective, seed) for seed in range(3)]
    graph = graph_of(lambda params, batch: losses_and_gradients(objective, params, batch), [runs[0], batches[0]])
    stacked = {name: torch.stack([run[name] for run in runs]) for name in runs[0]}
    if batches[0] is None:
        found = torch.vmap(lambda params: graph(params, None))(stacked)
    else:
        found = torch.vmap(graph)(stacked, torch.stack(batches))
    for i, (run, batch) in enumerate(zip(runs, batches, strict=True)):
        losses, gradients = losses_and_gradients(objective, run, batch)
        close({name: loss[i] for name, loss in found[0].items()}, losses)
        close(tuple(g[i] for g in found[1]), gradients)


def with_fields(objective: Objective, values: dict[str, Any]) -> Objective:
    changed = copy.copy(objective)
    for name, value in values.items():
        object.__setattr__(changed, name, value)
    return changed


@pytest.mark.parametrize("name", WITH_FLOATS)
def test_float_fields_may_differ_between_runs(name: str) -> None:
    objective = made(name)
    names = [field.name for field in dataclasses.fields(objective) if field.type is float]
    params, batch = shaken(objective, seed=0), a_batch(objective)
    runs = [{name: getattr(objective, name) + shift for name in names} for shift in (0.5, 1.5)]
    stacked = {name: torch.tensor([run[name] for run in runs], dtype=torch.float64) for name in names}

    def at(fields: dict[str, Any]) -> tuple[Losses, tuple[Tensor, ...]]:
        return losses_and_gradients(with_fields(objective, fields), params, batch)

    found = torch.vmap(graph_of(at, [{name: x[0] for name, x in stacked.items()}]))(stacked)
    for i, run in enumerate(runs):
        losses, gradients = at(run)
        close({name: loss[i] for name, loss in found[0].items()}, losses)
        close(tuple(g[i] for g in found[1]), gradients)


def test_single_precision_copy_agrees_and_leaves_the_original(objective: Objective) -> None:
    params, batch = shaken(objective, seed=0), a_batch(objective)
    expected = objective.losses(params, batch)
    single = objective.to(torch.float32, torch.device("cpu"))
    found = single.losses({name: x.float() for name, x in params.items()}, batch)
    assert {loss.dtype for loss in found.values()} == {torch.float32}
    close({name: loss.double() for name, loss in found.items()}, expected, rtol=1e-3, atol=1e-3)
    assert all(torch.equal(loss, expected[name]) for name, loss in objective.losses(params, batch).items())


class StatedPlacement(TorchFunctionMode):
    """Fails where a tensor is made without saying where, or of which type."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        stated = kwargs or {}
        if function in FACTORIES:
            assert "device" in stated, f"{function} was called without a device"
            assert function is torch.randperm or "dtype" in stated, f"{function} was called without a dtype"
        return function(*args, **stated)


def test_everything_stays_on_the_device_of_the_parameters(objective: Objective) -> None:
    """Nothing but a shape exists on the device `meta`, and mixing it with the CPU is an error."""
    with StatedPlacement():
        params, batch = objective.init(seeded(0)), a_batch(objective)
        objective.losses(params, batch)
        objective.evaluate(params)
    device = torch.device("meta")
    moved = objective.to(torch.float32, device)
    params = {name: x.to(device=device, dtype=torch.float32) for name, x in params.items()}
    batch = batch.to(device) if isinstance(batch, Tensor) else batch
    losses, gradients = losses_and_gradients(moved, params, batch)
    assert {x.device for x in (*losses.values(), *gradients)} == {device}
    assert {x.dtype for x in (*losses.values(), *gradients)} == {torch.float32}


def test_evaluation_gives_named_finite_scalars(objective: Objective) -> None:
    metrics = objective.evaluate(objective.init(seeded(0)))
    assert all(isinstance(name, str) for name in metrics)
    assert all(value.shape == () and torch.isfinite(value) and not value.requires_grad for value in metrics.values())


def in_several_dimensions(name: str) -> list[TestFunction]:
    """A test function as it is, and in 4 and 8 dimensions where it exists in all."""
    function = made(name)
    others = () if function.dims[1] is not None else (4, 8)
    return [function, *(dataclasses.replace(function, dim=dim) for dim in others)]


@pytest.mark.parametrize("name", TEST_FUNCTIONS)
def test_known_minimum_stands_at_its_minimisers_and_nowhere_lower(name: str) -> None:
    if made(name).minimum is None:
        pytest.skip("several losses have no one minimum")
    for function in in_several_dimensions(name):
        assert function.minimizers
        assert function.minimum is not None
        lower, upper = function.bounds()
        width = upper - lower
        assert (width > 0).all()
        drawn = lower + width * torch.rand(2000, function.dim, generator=seeded(0), dtype=torch.float64)
        values = torch.vmap(function.value)(drawn)
        spread = float(values.std())
        assert float(values.min()) >= function.minimum - 1e-9 * max(1.0, abs(function.minimum))
        for minimizer in function.minimizers:
            x = torch.tensor(minimizer, dtype=torch.float64)
            assert x.shape == (function.dim,)
            assert ((lower <= x) & (x <= upper)).all()
            losses, (gradient,) = losses_and_gradients(function, {"x": x}, None)
            close(losses["value"].item(), function.minimum, rtol=1e-8, atol=1e-8)
            assert float((gradient * width).abs().max()) <= 1e-6 * spread


@pytest.mark.parametrize("name", [name for name in EXPRESSIONS if node(name).minimum is not None])
def test_known_minimum_of_a_formula_is_where_a_search_ends(name: str) -> None:
    objective = made(name)
    start = objective.init(seeded(0))
    sizes = [x.numel() for x in start.values()]

    def value(point: Any) -> float:
        parts = torch.tensor(point, dtype=torch.float64).split(sizes)
        params = {name: part.reshape(x.shape) for (name, x), part in zip(start.items(), parts, strict=True)}
        return float(total(objective, params, None))

    first = torch.cat([x.flatten() for x in start.values()]).numpy()
    found = minimize(value, first, method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14, "maxiter": 10_000})
    assert found.fun == pytest.approx(objective.minimum, abs=1e-8)


@pytest.mark.parametrize("name", TEST_FUNCTIONS)
def test_a_test_function_starts_inside_its_domain(name: str) -> None:
    for function in in_several_dimensions(name):
        lower, upper = function.bounds()
        drawn = dataclasses.replace(function, random_start=True)
        for start in (function.init(seeded(0))["x"], drawn.init(seeded(0))["x"], drawn.init(seeded(1))["x"]):
            assert start.shape == (function.dim,)
            assert ((lower <= start) & (start <= upper)).all()
        assert not torch.equal(drawn.init(seeded(0))["x"], drawn.init(seeded(1))["x"])
