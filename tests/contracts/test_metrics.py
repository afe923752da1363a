"""Every metric of the menu, held to the contract of `descend.metrics.metric.Metric`."""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor
from torch.overrides import TorchFunctionMode
from traced import graph_of

from descend.menu.compose import compose
from descend.metrics.metric import Metric
from descend.types import Losses, Observation, Params, Total

CONF = Path(__file__).parents[2] / "conf"
MENU = [path for group in ("metrics", "derivatives") for path in sorted((CONF / group).glob("*.yaml"))]
FACTORIES = {torch.tensor, torch.as_tensor, torch.full, torch.zeros, torch.ones, torch.empty, torch.arange, torch.eye}
RUNS = 3


def entries(path: Path) -> dict[str, Metric]:
    group = path.parent.name
    whole = compose([f"{group}={path.stem}"])  # a metric may take a number from another field, as evaluate.every
    found = instantiate(whole[group], _convert_="all")
    found.pop("order", None)  # what the metrics of derivatives refer to
    return found


METRICS = {f"{path.parent.name}/{path.stem}:{name}": metric for path in MENU for name, metric in entries(path).items()}
# Metrics that differ in their interval alone are one metric here.
METRICS = {repr(dataclasses.replace(metric, every=1)): metric for metric in METRICS.values()}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the loop has it for small problems: threads that wait for each other would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SHAPES = {"small": {"a": (2, 3), "b": ()}, "medium": {"w": (6, 6), "b": ()}, "large": {"w": (20, 15), "b": (20,)}}


def apply(metric: Metric, shapes: dict[str, tuple[int, ...]]) -> bool:
    return metric.applies({name: torch.zeros(shape) for name, shape in shapes.items()})


PAIRS = {f"{name}-{size}": (m, s) for name, m in METRICS.items() for size, s in SHAPES.items() if apply(m, s)}


@pytest.fixture(params=list(PAIRS.values()), ids=list(PAIRS))
def pair(request: pytest.FixtureRequest) -> tuple[Metric, dict[str, tuple[int, ...]]]:
    return request.param


@pytest.fixture
def metric(pair: tuple[Metric, dict[str, tuple[int, ...]]]) -> Metric:
    return pair[0]


@pytest.fixture
def shapes(pair: tuple[Metric, dict[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    return pair[1]


def losses(params: Params) -> Losses:
    """Two losses with a dense, indefinite Hessian and no derivative that vanishes."""
    flat = torch.cat([x.reshape(-1) for x in params.values()])
    weight = torch.linspace(0.1, 0.7, flat.numel(), dtype=flat.dtype, device=flat.device)
    return {"wave": torch.sin((weight * flat).sum()) + (flat**4).sum(), "penalty": (weight * flat * flat).sum()}


def draw(shapes: dict[str, tuple[int, ...]], seed: int = 0, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """The tensors a step has seen: weights [2], learning rate [], parameters, previous gradients, update."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape: tuple[int, ...]) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype)

    return [normal((2,)).exp(), normal(()).exp(), *(normal(shape) for _ in range(3) for shape in shapes.values())]


def observation(shapes: dict[str, tuple[int, ...]], weights: Tensor, lr: Tensor, *tensors: Tensor) -> Observation:
    n = len(shapes)
    params, previous, update = (dict(zip(shapes, tensors[i : i + n], strict=True)) for i in range(0, 3 * n, n))

    def loss(point: Params) -> Tensor:
        return (weights * torch.stack(list(losses(point).values()))).sum()

    leaves = {name: x.detach().requires_grad_() for name, x in params.items()}
    with torch.enable_grad():
        gradients = torch.autograd.grad(loss(leaves), list(leaves.values()))
        rows = [torch.autograd.grad(each, list(leaves.values())) for each in losses(leaves).values()]
    return Observation(
        step=7,
        params=params,
        losses=losses(params),
        weights=weights,
        gradients=dict(zip(shapes, gradients, strict=True)),
        previous=previous,
        previous_losses=losses(previous),
        update=update,
        lr=lr,
        loss=loss,
        total=lambda examples: Total(loss),
        jacobian=lambda: torch.stack([torch.cat([g.reshape(-1) for g in row]) for row in rows]),
        evaluate=lambda: {"accuracy": params["b"].sum()},
    )


def program(metric: Metric, shapes: dict[str, tuple[int, ...]]) -> Callable[..., list[Tensor]]:
    """The metric as a function of tensors alone."""

    def values(*tensors: Tensor) -> list[Tensor]:
        with torch.no_grad():
            return list(metric(observation(shapes, *tensors)).values())

    return values


def test_the_menu_is_not_empty() -> None:
    assert len(MENU) >= 7
    assert len(METRICS) >= 12
    assert {name for name in METRICS if any(pair.startswith(name) for pair in PAIRS)} == set(METRICS)


@pytest.mark.parametrize("path", MENU, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_each_choice_is_a_dict_of_metrics_and_says_what_it_is(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert all(isinstance(metric, Metric) for metric in entries(path).values())


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS.keys())
def test_metric_is_a_frozen_dataclass(metric: Metric) -> None:
    kind: Any = type(metric)
    assert kind.__dataclass_params__.frozen
    assert not inspect.isabstract(kind)


def test_values_are_scalars_or_histograms_on_the_device_of_the_parameters(metric: Metric, shapes: dict) -> None:
    seen = observation(shapes, *draw(shapes))
    for name, value in metric(seen).items():
        assert isinstance(value, Tensor), name
        assert value.ndim == 0 or (value.ndim == 2 and value.shape[0] == 2), name
        assert not value.requires_grad, name


def test_names_depend_on_shapes_alone(metric: Metric, shapes: dict) -> None:
    seen = [observation(shapes, *draw(shapes, seed)) for seed in range(3)]
    zeros = observation(shapes, *(torch.zeros_like(x) for x in draw(shapes)))
    nans = observation(shapes, *(torch.full_like(x, torch.nan) for x in draw(shapes)))
    assert len({tuple(metric(each)) for each in [*seen, zeros, nans]}) == 1


def test_nothing_follows_an_end_without_update(metric: Metric, shapes: dict) -> None:
    seen = observation(shapes, *draw(shapes))
    ended = metric(dataclasses.replace(seen, update=None))
    assert set(ended) <= set(metric(seen))
    assert not [name for name in ended if name.startswith(("update/", "decrease/"))]


def test_nothing_observed_is_changed(metric: Metric, shapes: dict) -> None:
    tensors = draw(shapes)
    seen = observation(shapes, *tensors)
    before = copy.deepcopy([tensors, seen.gradients, seen.losses])
    metric(seen)
    torch.testing.assert_close([tensors, seen.gradients, seen.losses], before, rtol=0, atol=0)


def test_the_same_observation_gives_the_same_values_and_draws_nothing(metric: Metric, shapes: dict) -> None:
    state = torch.get_rng_state()
    values = program(metric, shapes)
    first, second = (values(*draw(shapes)) for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def test_values_do_not_depend_on_the_grad_mode_around(metric: Metric, shapes: dict) -> None:
    """The engine calls metrics under no_grad; a derivative taken there must not come out as zero."""
    inside = program(metric, shapes)(*draw(shapes))
    with torch.enable_grad():
        outside = list(metric(observation(shapes, *draw(shapes))).values())
    torch.testing.assert_close(inside, outside, rtol=1e-12, atol=0)


class Explicit(TorchFunctionMode):
    """Fails where a tensor is made without a dtype and a device."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in FACTORIES:
            missing = {"dtype", "device"} - set(kwargs or {})
            assert not missing, f"{function.__name__} without {sorted(missing)}"
        return function(*args, **(kwargs or {}))


def test_tensors_are_made_with_dtype_and_device(metric: Metric, shapes: dict) -> None:
    with torch.no_grad():
        seen = observation(shapes, *draw(shapes, dtype=torch.float32))
        with Explicit():
            values = metric(seen)
    if metric.batchable:
        assert {value.dtype for value in values.values()} <= {torch.float32}


def test_traced_and_stacked_is_a_loop(metric: Metric, shapes: dict) -> None:
    """The engine traces a step with the real autograd, then lays runs beside each other, first or last."""
    if not metric.batchable:
        with pytest.raises(Exception):  # noqa: B017, PT011  whatever a trace raises, it must not pass silently
            graph_of(program(metric, shapes), draw(shapes))
        return
    values = program(metric, shapes)
    runs = [draw(shapes, seed) for seed in range(RUNS)]
    traced = graph_of(values, runs[0])
    serial = [torch.stack(column) for column in zip(*(values(*run) for run in runs), strict=True)]
    stacked = [torch.stack(column) for column in zip(*runs, strict=True)]
    with torch.no_grad():
        together = torch.func.vmap(traced)(*stacked) if serial else []
        torch.testing.assert_close(list(together), serial, rtol=1e-10, atol=1e-12)
        last = [x.movedim(0, -1).contiguous() for x in stacked]
        together = torch.func.vmap(traced, in_dims=-1, out_dims=-1)(*last) if serial else []
        torch.testing.assert_close([x.movedim(-1, 0) for x in together], serial, rtol=1e-10, atol=1e-12)
