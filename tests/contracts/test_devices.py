"""Every objective, optimizer and aggregator makes its tensors where and as precise as its inputs are.

A whole step runs on the meta device, where a tensor made elsewhere by mistake cannot be mixed in, and under a mode that
refuses every factory call without a device. What runs the code of another library (an adapter) is left out.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from descend.engine.experiment import Experiment
from descend.engine.step import Carry, Origin, advance, start
from descend.menu import FOLDER
from descend.menu.build import build
from descend.menu.compose import compose
from descend.types import Loss

FACTORIES = {
    torch.tensor,
    torch.as_tensor,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.empty,
    torch.arange,
    torch.linspace,
    torch.eye,
    torch.rand,
    torch.randn,
    torch.randperm,
    torch.randint,
}
META = torch.device("meta")
QUIET = ["metrics=none", "derivatives=none"]
TWO = ["objective=expression", "objective.formula={near: 'x**2 + y**2', far: '(x - 1)**2 + y'}"]


class Placed(TorchFunctionMode):
    """Refuses to make a tensor without being told where."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        assert function not in FACTORIES or "device" in (kwargs or {}), f"torch.{function.__name__} without a device"
        return function(*args, **(kwargs or {}))


def uncounted(loss: Loss) -> Loss:
    return loss


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in Path(FOLDER / group).glob("*.yaml"))


@functools.cache
def experiment(*overrides: str) -> Experiment:
    return build(compose([*QUIET, *overrides]), [*QUIET, *overrides])


def part(group: str, choice: str) -> Any:
    return instantiate(compose([f"{group}={choice}"])[group], _convert_="all")


def batchable(group: str) -> list[str]:
    return [choice for choice in choices(group) if part(group, choice).batchable]


def moved(tree: Any, device: torch.device, dtype: torch.dtype) -> Any:
    def move(x: torch.Tensor) -> torch.Tensor:
        return x.to(device=device, dtype=dtype if x.is_floating_point() else x.dtype)

    return tree_map(lambda x: move(x) if isinstance(x, torch.Tensor) else x, tree)


def two_steps(chosen: Experiment, device: torch.device, dtype: torch.dtype) -> Carry:
    """Make two steps on `device` from a start drawn on the CPU, under `Placed`."""
    generator = chosen.generator()
    params, state = moved(chosen.objective.start_and_state(generator), device, dtype)
    seed = torch.tensor(0, dtype=torch.int64, device="cpu")  # what is drawn needs its value
    chosen = replace(chosen, objective=chosen.objective.to(dtype, device))
    if chosen.optimizer.needs_outputs:
        chosen = replace(chosen, optimizer=chosen.optimizer.attached(chosen.composed(params), params))
    batches = chosen.objective.batches(generator)
    with torch.no_grad(), Placed():
        carry = start(chosen, Origin(params, state, seed))
        for _ in range(2):
            carry, _ = advance(chosen, carry, moved(next(batches), device, dtype), uncounted)
    return carry


def assert_there(carry: Carry, device: torch.device, dtype: torch.dtype) -> None:
    found = [x for x in tree_leaves((carry.params, carry.optimizer, carry.gradients)) if isinstance(x, torch.Tensor)]
    assert found
    assert {x.device.type for x in found} == {device.type}
    # Numbers that a method counts with are float64, as the experiment's numbers are in a recorded step.
    counted = {id(x) for x in tree_leaves(carry.optimizer) if isinstance(x, torch.Tensor) and not x.dim()}
    assert {x.dtype for x in found if x.is_floating_point() and id(x) not in counted} == {dtype}


@pytest.mark.parametrize("choice", [c for c in choices("objective") if c != "mnist_cnn"])
def test_objective(choice: str) -> None:
    assert_there(two_steps(experiment(f"objective={choice}"), META, torch.float32), META, torch.float32)


WITH_MATRICES = "objective=diabetes_linear"


# They are for matrices, for networks, and for sums of squares.
OBJECTIVES = dict.fromkeys(("muon", "normuon", "ekfac", "kfac", "natural_gradient", "sophia_g"), WITH_MATRICES)
OBJECTIVES |= dict.fromkeys(("gauss_newton", "levenberg_marquardt"), "objective=curve_fit")


@pytest.mark.parametrize("choice", batchable("optimizer"))
@pytest.mark.parametrize("clip", choices("clip"))
def test_optimizer(choice: str, clip: str) -> None:
    parts = {"optimizer": part("optimizer", choice), "clip": part("clip", clip)}
    chosen = replace(experiment(OBJECTIVES.get(choice, "objective=rosenbrock")), **parts)
    assert_there(two_steps(chosen, META, torch.float32), META, torch.float32)


@pytest.mark.parametrize("choice", batchable("aggregator"))
def test_aggregator(choice: str) -> None:
    chosen = replace(experiment(*TWO), aggregator=part("aggregator", choice))
    assert_there(two_steps(chosen, META, torch.float32), META, torch.float32)


@pytest.mark.parametrize("choice", choices("op"))
def test_op(choice: str) -> None:
    chosen = experiment("objective=op_at_point", "objective.start={x: -0.3}", f"op={choice}")
    assert_there(two_steps(chosen, META, torch.float32), META, torch.float32)


def test_the_mode_refuses() -> None:
    with Placed(), pytest.raises(AssertionError, match=r"torch\.zeros without a device"):
        torch.zeros(3)
