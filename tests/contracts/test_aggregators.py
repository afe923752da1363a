"""What every aggregator of the menu must hold; found by its YAML alone."""

import dataclasses
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_class, instantiate
from omegaconf import OmegaConf
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_structure
from traced import graph_of

from descend.aggregators.aggregator import Aggregator

MENU = Path(__file__).parents[2] / "conf" / "aggregator"
CHOICES = sorted(path.stem for path in MENU.glob("*.yaml"))
NAMES = ("first", "second", "third")
STEPS = 4


def build(choice: str) -> Aggregator:
    return instantiate(OmegaConf.load(MENU / f"{choice}.yaml"), _convert_="all")


BATCHABLE = [choice for choice in CHOICES if build(choice).batchable]


def inputs(seed: int, m: int = 3, dtype: torch.dtype = torch.float64) -> list[tuple[Tensor, Tensor]]:
    """Positive losses, shape [m], and conflicting gradients, shape [m, 5], for each step."""
    generator = torch.Generator().manual_seed(seed)
    kind: dict[str, Any] = {"generator": generator, "dtype": dtype}
    return [(torch.rand(m, **kind) + 0.1, torch.randn(m, 5, **kind)) for _ in range(STEPS)]


def follow(step: Callable[..., tuple[Tensor, Any]], steps: list[tuple[Tensor, Tensor]], state: Any) -> list[Any]:
    found = []
    for losses, jacobian in steps:
        weights, state = step(losses, jacobian, state)
        found.append((weights, state))
    return found


def stepper(aggregator: Aggregator) -> Callable[..., tuple[Tensor, Any]]:
    return lambda losses, jacobian, state: aggregator.weights(losses, lambda: jacobian, state)


def as_tensors(state: Any) -> Any:
    """Numbers as tensors, which is what they become once a step is traced."""
    return tree_map(lambda x: x if isinstance(x, Tensor) else torch.tensor(x, dtype=torch.float64), state)


def assert_same(found: Any, expected: Any, **tolerance: Any) -> None:
    assert tree_structure(found) == tree_structure(expected)
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        torch.testing.assert_close(torch.as_tensor(a), torch.as_tensor(b), check_dtype=False, **tolerance)


def check_fields(node: Any, built: Any) -> None:
    fields = {field.name for field in dataclasses.fields(built)}
    assert set(node) - {"_target_"} == fields
    assert get_class(node["_target_"]) is type(built)
    for name in fields:
        value = node[name]
        if OmegaConf.is_dict(value) and "_target_" in value:
            check_fields(value, getattr(built, name))


@pytest.mark.parametrize("choice", CHOICES)
def test_the_menu_states_every_field_and_default(choice: str) -> None:
    text = (MENU / f"{choice}.yaml").read_text(encoding="utf-8")
    node = OmegaConf.load(MENU / f"{choice}.yaml")
    default = type(build(choice))()
    assert text.startswith("# ")
    check_fields(node, default)
    assert build(choice) == default


@pytest.mark.parametrize("choice", CHOICES)
def test_pure(choice: str) -> None:
    aggregator, steps = build(choice), inputs(0)
    kept = [(losses.clone(), jacobian.clone()) for losses, jacobian in steps]
    state = aggregator.init(steps[0][0], NAMES)
    before = tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, state)
    first = follow(stepper(aggregator), steps, state)
    global_state = torch.get_rng_state()
    second = follow(stepper(aggregator), steps, state)
    assert_same(steps, kept, rtol=0, atol=0)
    assert_same(state, before, rtol=0, atol=0)
    assert_same(first, second, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), global_state)


@pytest.mark.parametrize("choice", CHOICES)
def test_the_state_keeps_its_structure_and_is_plain(choice: str) -> None:
    aggregator, steps = build(choice), inputs(1)
    state = aggregator.init(steps[0][0], NAMES)
    leaves, structure = tree_flatten(state)
    assert all(isinstance(x, Tensor | float | int) for x in leaves)
    for _, later in follow(stepper(aggregator), steps, state):
        found, same = tree_flatten(later)
        assert same == structure
        for a, b in zip(found, leaves, strict=True):
            assert type(a) is type(b)
            if isinstance(a, Tensor):
                assert (a.shape, a.dtype, a.device) == (b.shape, b.dtype, b.device)


@pytest.mark.parametrize("choice", CHOICES)
def test_goes_on_from_a_saved_state(choice: str) -> None:
    aggregator, steps = build(choice), inputs(2)
    whole = follow(stepper(aggregator), steps, aggregator.init(steps[0][0], NAMES))
    buffer = io.BytesIO()
    torch.save(whole[1][1], buffer)
    buffer.seek(0)
    rest = follow(stepper(build(choice)), steps[2:], torch.load(buffer, weights_only=True))
    assert_same(rest, whole[2:], rtol=0, atol=0)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("m", [1, 3])
def test_weights_are_finite_and_placed_like_the_losses(choice: str, dtype: torch.dtype, m: int) -> None:
    aggregator, steps = build(choice), inputs(3, m, dtype)
    for weights, _ in follow(stepper(aggregator), steps, aggregator.init(steps[0][0], NAMES[:m])):
        assert weights.shape == (m,)
        assert weights.dtype == dtype
        assert torch.isfinite(weights).all()


@pytest.mark.parametrize("choice", CHOICES)
def test_a_loss_without_a_gradient_is_weighed(choice: str) -> None:
    aggregator = build(choice)
    steps = [(losses, torch.cat([0 * jacobian[:1], jacobian[1:]])) for losses, jacobian in inputs(4)]
    for weights, _ in follow(stepper(aggregator), steps, aggregator.init(steps[0][0], NAMES)):
        assert torch.isfinite(weights).all()


@pytest.mark.parametrize("choice", CHOICES)
def test_uses_the_jacobian_only_where_it_says_so(choice: str) -> None:
    aggregator, (losses, jacobian) = build(choice), inputs(5)[0]
    calls = []

    def counted() -> Tensor:
        calls.append(1)
        return jacobian

    aggregator.weights(losses, counted, aggregator.init(losses, NAMES))
    assert bool(calls) == aggregator.uses_jacobian


@pytest.mark.parametrize("choice", CHOICES)
def test_a_gradient_that_is_not_a_number_does_not_raise(choice: str) -> None:
    aggregator, (losses, jacobian) = build(choice), inputs(6)[0]
    losses[0], jacobian[0] = torch.nan, torch.nan
    weights, _ = aggregator.weights(losses, lambda: jacobian, aggregator.init(losses, NAMES))
    assert weights.shape == losses.shape


@pytest.mark.parametrize("choice", BATCHABLE)
def test_makes_its_tensors_where_the_losses_are(choice: str) -> None:
    aggregator = build(choice)
    steps = [(losses.to("meta"), jacobian.to("meta")) for losses, jacobian in inputs(7)]
    for weights, state in follow(stepper(aggregator), steps, aggregator.init(steps[0][0], NAMES)):
        assert weights.is_meta
        assert all(x.is_meta for x in tree_leaves(state) if isinstance(x, Tensor))


@pytest.mark.parametrize("choice", BATCHABLE)
def test_traced_is_eager(choice: str) -> None:
    aggregator, steps = build(choice), inputs(8)
    state = as_tensors(aggregator.init(steps[0][0], NAMES))
    traced = graph_of(stepper(aggregator), [*steps[0], state])
    assert_same(follow(traced, steps, state), follow(stepper(aggregator), steps, state), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("choice", BATCHABLE)
@pytest.mark.parametrize("dim", [0, -1])
def test_a_stack_of_runs_is_each_run_alone(choice: str, dim: int) -> None:
    aggregator = build(choice)
    runs = [inputs(seed) for seed in range(10, 14)]
    # The second run has lost its numbers; the others must not notice.
    runs[1] = [(losses * torch.nan, jacobian * torch.nan) for losses, jacobian in runs[1]]
    states = [as_tensors(aggregator.init(steps[0][0], NAMES)) for steps in runs]
    alone = [follow(stepper(aggregator), steps, state) for steps, state in zip(runs, states, strict=True)]

    def stack(*items: Any) -> Any:
        return tree_map(lambda *xs: torch.stack(xs, dim=dim), *items)

    # Traced first, as the engine does: no warning is heard then about operations in place under vmap.
    step = graph_of(stepper(aggregator), [*runs[0][0], states[0]])
    together = follow(torch.vmap(step, in_dims=dim, out_dims=dim), stack(*runs), stack(*states))
    assert_same(together, stack(*alone), rtol=1e-10, atol=1e-10, equal_nan=True)
