"""A number gives the same bits as a Python float and as a 0-d float64 tensor, in every method that takes numbers.

Found by their YAML: every optimizer with every schedule and every clipping, and every aggregator.
"""

import contextlib
import functools
from pathlib import Path
from typing import Any

import pytest
import torch
from as_network import as_network, attached
from hydra.utils import instantiate
from stated import as_tensors, at, numbers, stated_in_tensors
from torch import Tensor
from torch.utils._pytree import tree_leaves

from descend.errors import ConfigurationError
from descend.graph.chance import Chance
from descend.menu.compose import compose
from descend.types import Params

MENU = Path(__file__).parents[2] / "conf"
STEPS = 25

# These look at their numbers in Python, and so are never given tensors.
ONE_AT_A_TIME = {
    "optimizer": ["adam_then_lbfgs", "newton_cg", "torch"],
    "aggregator": ["cagrad", "nash_mtl", "torchjd"],
}

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("adam", {"amsgrad": True}),
    ("rmsprop", {"centered": True}),
    ("nadam", {"decoupled_weight_decay": True}),
    ("radam", {"decoupled_weight_decay": True}),
    ("asgd", {"t0": 20.0}),
    ("soap", {"every": 3}),
    ("shampoo", {"every": 3, "largest": 4}),
    ("kfac", {"every": 3}),
    ("ekfac", {"every": 3}),
]


def choices(group: str) -> list[str]:
    found = [path.stem for path in sorted((MENU / group).glob("*.yaml"))]
    return [choice for choice in found if choice not in ONE_AT_A_TIME.get(group, ())]


FORMS = [*((choice, {}) for choice in choices("optimizer")), *VARIANTS]
SECONDS = {"cubic", "dogleg", "gauss_newton", "levenberg_marquardt", "newton_cg", "trust_region", "trust_region_cg"}
"""They take seconds; newton, lbfgs and bfgs are of the same parts."""


def by_second_derivatives(choice: str, *more: Any) -> Any:
    marks = [pytest.mark.slow] if choice in SECONDS else []
    return pytest.param(choice, *more, marks=marks, id="-".join([choice, *(name for x in more for name in x)]))


forms = pytest.mark.parametrize(("choice", "fields"), [by_second_derivatives(*form) for form in FORMS])
dtypes = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


# Their rate is for gradients that are smaller: here it would be too long a step.
SMALLER = dict.fromkeys(("lars", "schedule_free_sgd"), ("optimizer.lr=0.01",))


@functools.cache
def chosen(group: str, choice: str, *overrides: str) -> Any:
    objective = "cagrad_toy" if group == "aggregator" else "rosenbrock"
    node = compose([f"objective={objective}", f"{group}={choice}", *SMALLER.get(choice, ()), *overrides])[group]
    return instantiate(node, _convert_="all")


def busy(method: Any) -> Any:
    """A copy whose numbers are not 0 wherever it takes others: a term switched off would hide its formula."""
    for leaf, value in list(numbers(method)):
        if value == 0:
            with contextlib.suppress(ConfigurationError):
                method = at(method, {leaf: 0.05}, checked=True)
    return method


def made(choice: str, fields: dict[str, Any]) -> Any:
    return busy(at(chosen("optimizer", choice), {(name,): x for name, x in fields.items()}, checked=True))


def schedules() -> list[Any]:
    found = [chosen("schedule", choice) for choice in choices("schedule")]
    return [*found, chosen("schedule", "warmup", "schedule.length=7", "schedule@schedule.then=cosine")]


def loss(params: Params) -> Tensor:
    """Steep, and of the fourth degree, so that methods of the second order have something to do."""
    return functools.reduce(torch.add, (5 * ((x - 0.5) ** 2).sum() + ((x - 0.5) ** 4).sum() for x in params.values()))


def residuals(params: Params) -> Tensor:
    """The vector whose sum of squares `loss` is."""
    parts = [part for x in params.values() for part in (5**0.5 * (x - 0.5), (x - 0.5) ** 2)]
    return torch.cat([part.reshape(-1) for part in parts])


loss.residuals = residuals  # type: ignore[attr-defined]
loss.composed = lambda: as_network(residuals)  # type: ignore[attr-defined]


def gradients(params: Params) -> Params:
    return {name: 10 * (x - 0.5) + 4 * (x - 0.5) ** 3 for name, x in params.items()}


def start(dtype: torch.dtype) -> Params:
    kind: dict[str, Any] = {"generator": torch.Generator("cpu").manual_seed(4), "dtype": dtype, "device": "cpu"}
    return {"number": torch.randn([], **kind), "vector": torch.randn(3, **kind), "matrix": torch.randn(7, 5, **kind)}


def run(optimizer: Any, schedule: Any, clip: Any, dtype: torch.dtype, traced: bool) -> tuple[Params, Any]:
    """Take the steps with Python numbers, or as in a traced step: every number and counter a tensor."""
    if traced:
        optimizer, schedule, clip = map(stated_in_tensors, (optimizer, schedule, clip))
    params = start(dtype)
    optimizer = attached(optimizer, residuals, params)
    state = as_tensors(optimizer.init(params)) if traced else optimizer.init(params)
    with torch.no_grad():
        for i in range(STEPS):
            step = torch.tensor(i, dtype=torch.int64, device="cpu") if traced else i
            now = optimizer.scaled(schedule.factor(step, STEPS))
            with Chance(0, i):
                params, state = now.step(params, clip(gradients(params)), state, loss)
    return params, state


def assert_same_bits(found: Params, expected: Params) -> None:
    for name, x in expected.items():
        assert x.isfinite().all()
        assert found[name].dtype == x.dtype
        assert torch.equal(found[name], x), name


@pytest.mark.parametrize(("group", "choice"), [(group, x) for group, found in ONE_AT_A_TIME.items() for x in found])
def test_the_others_run_one_at_a_time(group: str, choice: str) -> None:
    assert not chosen(group, choice).batchable


def assert_one_formula(optimizer: Any, schedule: Any, clipping: Any, dtype: torch.dtype) -> None:
    found, state = run(optimizer, schedule, clipping, dtype, traced=True)
    expected, _ = run(optimizer, schedule, clipping, dtype, traced=False)
    assert_same_bits(found, expected)
    kinds, begun = (
        [x.dtype for x in tree_leaves(state)],
        attached(optimizer, residuals, start(dtype)).init(start(dtype)),
    )
    assert kinds == [x.dtype for x in tree_leaves(as_tensors(begun))]


@dtypes
@forms
def test_a_step(choice: str, fields: dict[str, Any], dtype: torch.dtype) -> None:
    clip = "none" if choice == "polyak" else "norm"  # its steps are the longer, the shorter the gradient
    assert_one_formula(made(choice, fields), busy(schedules()[-1]), chosen("clip", clip), dtype)


@dtypes
@pytest.mark.parametrize("clip", choices("clip"))
@pytest.mark.parametrize("choice", ["adam", "sgd"])
def test_a_step_with_every_schedule_and_clipping(choice: str, clip: str, dtype: torch.dtype) -> None:
    for schedule in schedules():
        assert_one_formula(made(choice, {}), busy(schedule), chosen("clip", clip), dtype)


@dtypes
@pytest.mark.parametrize("choice", [by_second_derivatives(choice) for choice in choices("optimizer")])
def test_a_term_switched_off_is_one_with_the_number_0(choice: str, dtype: torch.dtype) -> None:
    optimizer, clipping = chosen("optimizer", choice), chosen("clip", "none")
    schedule = chosen("schedule", "cosine")
    found, _ = run(optimizer, schedule, clipping, dtype, traced=True)
    assert_same_bits(found, run(optimizer, schedule, clipping, dtype, traced=False)[0])


@dtypes
@forms
def test_an_entry_rounds_the_same_wherever_it_lies(choice: str, fields: dict[str, Any], dtype: torch.dtype) -> None:
    """A vector of 35 has full vectors of the processor and a tail; a number of shape [] has none of either."""
    optimizer = made(choice, fields)
    if not (optimizer.entrywise or choice == "groups"):
        return  # its entries are not independent
    optimizer = stated_in_tensors(optimizer)
    whole = start(dtype)["matrix"].flatten()
    params = {f"{i}": x.clone() for i, x in enumerate(whole)} | {"whole": whole}
    state = as_tensors(optimizer.init(params))
    for _ in range(STEPS):
        params, state = optimizer.step(params, gradients(params), state, loss)
    assert torch.equal(torch.stack([params[f"{i}"] for i in range(len(whole))]), params["whole"])


@pytest.mark.parametrize("steps", [1, 2, 7, 50, 1000])
@pytest.mark.parametrize("choice", choices("schedule"))
def test_a_schedule(choice: str, steps: int) -> None:
    schedule = busy(chosen("schedule", choice))
    traced = stated_in_tensors(schedule)
    for step in range(steps):
        found = traced.factor(torch.tensor(step, dtype=torch.int64, device="cpu"), steps)
        assert float(found) == float(schedule.factor(step, steps))


@dtypes
@pytest.mark.parametrize("choice", choices("aggregator"))
def test_an_aggregator(choice: str, dtype: torch.dtype) -> None:
    aggregator = busy(chosen("aggregator", choice))
    generator = torch.Generator("cpu").manual_seed(5)
    losses = torch.rand(STEPS, 3, generator=generator, dtype=dtype, device="cpu") + 0.5
    jacobians = torch.randn(STEPS, 3, 4, generator=generator, dtype=dtype, device="cpu")
    found = []
    for method, number in ((aggregator, lambda state: state), (stated_in_tensors(aggregator), as_tensors)):
        state, path = number(method.init(losses[0], ("a", "b", "c"))), []
        for values, jacobian in zip(losses, jacobians, strict=True):
            weights, state = method.weights(values, lambda jacobian=jacobian: jacobian, state)
            path.append(weights)
        found.append(torch.stack(path))
    assert found[0].dtype == found[1].dtype == dtype
    assert found[0].isfinite().all()
    assert torch.equal(*found)
