"""A recorded function is the function: on other numbers, whatever it does in place and uses from outside."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from descend.derivatives import gradient
from descend.errors import Untraceable
from descend.graph.recorder import VALUE, Value, depends, inputs, is_recorded, record, returned, unrecorded
from descend.ops.straight_through_round import StraightThroughRound

OUTSIDE = torch.tensor([1.0, 2.0, 3.0])


def in_place(x: Tensor) -> list[Tensor]:
    return [(x * 2).add_(1).mul_(x), x.clone().zero_(), x.clone().fill_(3.0), torch.sqrt(x).clamp_(min=1.2)]


def through_a_view(x: Tensor) -> list[Tensor]:
    y = x.clone()
    y[0] = 7.0
    y[1:].mul_(2)
    return [y, y[1:] + 1]


def from_outside(x: Tensor) -> list[Tensor]:
    return [x * OUTSIDE + torch.tensor(0.5)]


def several_at_once(x: Tensor) -> list[Tensor]:
    low, high = torch.aminmax(x)
    first, second = x[:2].split(1)
    return [high - low, first + second, x.sort(descending=True).values]


def derivatives(x: Tensor) -> list[Tensor]:
    rounded = gradient(lambda p: (StraightThroughRound()(p["x"]) ** 2).sum(), {"x": x})["x"]
    return [rounded, gradient(lambda p: p["x"].exp().sum() * p["x"].tanh().prod(), {"x": x})["x"]]


@pytest.mark.parametrize("function", [in_place, through_a_view, from_outside, several_at_once, derivatives])
def test_what_is_recorded_is_what_is_done(function: Callable[..., list[Tensor]]) -> None:
    x, other = torch.tensor([1.0, 2.5, 3.2]), torch.tensor([4.1, 0.3, -1.0])
    with torch.no_grad():
        graph = record(function, [x.clone()])
        for numbers in (x, other):
            found, expected = graph(numbers.clone()), function(numbers.clone())
            torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_one_tensor_given_for_two_inputs_is_recorded_as_two() -> None:
    x = torch.ones(2)
    graph = record(lambda before, after: [after - before, before.add_(after)], [x, x])
    found = graph(torch.tensor([1.0, 2.0]), torch.tensor([10.0, 30.0]))
    torch.testing.assert_close(found, [torch.tensor([9.0, 28.0]), torch.tensor([11.0, 32.0])], rtol=0, atol=0)


def test_what_is_made_and_written_in_place_is_recorded_as_made() -> None:
    graph = record(in_place, [torch.ones(3)])
    written = [node for node in graph.graph.nodes if node.op == "call_function" and node.target._schema.is_mutable]
    assert not written


def test_a_number_written_in_place_keeps_its_type() -> None:
    """A number of float64 widens one of float32 unless that is written in place."""
    x, lr = torch.ones(()), torch.tensor(0.1, dtype=torch.float64)
    [found] = record(lambda x, lr: [(x * 2).add_(lr)], [x, lr])(x, lr)
    assert found.dtype == torch.float32


@pytest.mark.parametrize("function", [lambda x: [x] if x.sum() > 0 else [-x], lambda x: [x * x[0].item()]])
def test_a_look_at_a_value_is_refused(function: Callable[..., list[Tensor]]) -> None:
    with pytest.raises(RuntimeError, match="decides in Python"):
        record(function, [torch.ones(3)])


def test_it_tells_what_is_recorded_and_what_depends_on_what() -> None:
    def function(x: Tensor, y: Tensor) -> list[Tensor]:
        assert is_recorded()
        with unrecorded():
            x.sum().item()  # nobody sees it
        return [x + 1, y * 2, x * y]

    graph = record(function, [torch.ones(2), torch.ones(2, dtype=torch.float64)])
    assert not is_recorded()
    assert [node.meta[VALUE].dtype for node in inputs(graph)] == [torch.float32, torch.float64]
    first = returned(graph)[0].meta[VALUE]
    assert first == Value(torch.Size([2]), torch.float32, torch.device("cpu"))
    assert depends(graph, [True, False]) == [True, False, True]


def test_it_imports_no_compiler() -> None:
    """Dynamo, inductor and sympy take two seconds to import: as long as all of a small sweep."""
    code = """
import sys
from descend.engine.experiment import Experiment
from descend.engine.run import Run, drive
from descend.metrics.gradient_norm import GradientNorm
from descend.objectives.rosenbrock import Rosenbrock
run = Run(Experiment(Rosenbrock(), metrics={"norm": GradientNorm(every=2)}, steps=5))
assert run.loop.backend.name == "graph"
drive(run, [])
print([name for name in ("torch._dynamo", "torch._inductor", "sympy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


LEAVES: dict[str, Callable[[Tensor], Any]] = {
    "numpy": lambda x: x.detach().numpy(),
    "asarray": lambda x: np.asarray(x.detach()),
    "tolist": lambda x: x.tolist(),
    "dlpack": lambda x: np.from_dlpack(x.detach()),
    "item": lambda x: x.sum().item(),
    "list of numbers": lambda x: torch.tensor([number for number in x]),
    "list by name": lambda x: torch.tensor(data=[[x[0]], [x[1]]]),
    "apply": lambda x: x.clone().apply_(lambda number: number + 1),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "storage": lambda x: torch.empty(0).set_(x.untyped_storage()),
    "parameter": torch.nn.Parameter,
}


@pytest.mark.parametrize("leave", LEAVES.values(), ids=LEAVES)
def test_values_do_not_leave_what_is_recorded(leave: Callable[[Tensor], Any]) -> None:
    """They would be constants: a test metric by NumPy was that of the start, at every step."""

    def function(x: Tensor) -> list[Tensor]:
        return [torch.as_tensor(leave(x * 2 + OUTSIDE)) + 1]

    with torch.no_grad(), pytest.raises(Untraceable, match=r"the value of a tensor|a tensor is made of"):
        record(function, [torch.ones(3)])


def test_values_from_outside_may_leave() -> None:
    """Labels that an objective holds, say: they are the same at every call."""

    def function(x: Tensor) -> list[Tensor]:
        kept = OUTSIDE + 1
        return [x * torch.from_numpy(kept.numpy() * OUTSIDE.numpy())]

    [found] = record(function, [torch.ones(3)])(torch.full((3,), 2.0))
    assert found.tolist() == [4.0, 12.0, 24.0]
