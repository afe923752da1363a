"""Objectives written as formulas, and the guide's examples among them."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from descend.errors import ConfigurationError
from descend.objectives.expression import Expression
from descend.types import Params

CONF = Path(__file__).parents[2] / "conf"


def gradient(objective: Expression) -> Params:
    params = {name: x.requires_grad_() for name, x in objective.init(torch.Generator()).items()}
    total = torch.stack(list(objective.losses(params, None).values())).sum()
    return dict(zip(params, torch.autograd.grad(total, list(params.values()), materialize_grads=True), strict=True))


def choice(name: str, op: str) -> Expression:
    config = OmegaConf.create({"op": OmegaConf.load(CONF / "op" / f"{op}.yaml")})
    config.objective = OmegaConf.load(CONF / "objective" / f"{name}.yaml")
    return instantiate(config.objective, _convert_="all")


# The true column of the guide's table: section, choice, op, gradient.
@pytest.mark.parametrize(
    ("name", "op", "expected"),
    [
        pytest.param("parabola", "relu", {"x": 15.0}, id="2.1"),
        pytest.param("plane", "relu", {"x": 6.0, "y": 4.0}, id="2.2"),
        pytest.param("cubic", "relu", {"x": 23.0}, id="2.3"),
        pytest.param("sine_plus_cosine", "relu", {"x": math.cos(1) - math.sin(1)}, id="3.1"),
        pytest.param("op_at_point", "log", {"x": 0.5}, id="3.2"),
        pytest.param("loop", "relu", {"x": 60.0}, id="5.1 loop: 2x · (1 + 2 + 3 + 4 + 5)"),
        pytest.param("branch", "relu", {"x": 6.0}, id="5.1 branch"),
        pytest.param("op_on_vector", "relu", {"x": [1.0, 0.0, 1.0]}, id="5.2"),
        pytest.param("op_on_vector", "guide_relu", {"x": [1.0, 0.0, 1.0]}, id="5.2, the guide's own"),
        pytest.param("detached", "relu", {"x": 4.0, "y": 0.0}, id="6.1"),
        pytest.param("square_and_cube", "relu", {"x": 16.0}, id="6.2"),
    ],
)
def test_the_guides_gradients_are_the_true_ones(name: str, op: str, expected: dict[str, Any]) -> None:
    found = gradient(choice(name, op))
    assert list(found) == list(expected)
    for parameter, numbers in expected.items():
        assert found[parameter].tolist() == pytest.approx(numbers, rel=1e-14)


def test_second_derivative_of_the_guides_cubic() -> None:
    hessian = torch.autograd.functional.hessian(
        lambda x: choice("cubic", "relu").losses({"x": x}, None)["value"], torch.tensor(2.0, dtype=torch.float64)
    )
    assert float(hessian) == 16.0


def test_a_whole_number_is_a_number_but_an_integer_tensor_has_no_derivative() -> None:
    start = Expression("x**2 + sum(y)", {"x": 2, "y": [1, 2.5]}).init(torch.Generator())
    assert start["x"].dtype == torch.float64
    assert start["y"].tolist() == [1.0, 2.5]
    with pytest.raises(ConfigurationError, match="only floating point parameters have derivatives"):
        Expression("x**2", {"x": torch.tensor(5)})
    with pytest.raises(ConfigurationError, match="bounds a loop by a parameter"):
        Expression("sum(i**2 for i in range(x))", {"x": 5})


def test_a_tensor_may_be_the_start_and_stays_its_owners() -> None:
    given = torch.tensor([1.0, 2.0], dtype=torch.float32, requires_grad=True)
    start = Expression("sum(x**2)", {"x": given}).init(torch.Generator())["x"]
    assert start.dtype == torch.float64
    assert not start.requires_grad
    start.add_(1)
    assert given.tolist() == [1.0, 2.0]


def test_without_a_start_every_name_begins_at_one() -> None:
    assert Expression("a * b + pi").init(torch.Generator()) == {"a": torch.tensor(1.0), "b": torch.tensor(1.0)}


def test_several_formulas_are_several_losses() -> None:
    objective = Expression({"square": "x**2", "cube": "x**3 + y"}, {"x": 2.0, "y": 1.0})
    losses = objective.losses(objective.init(torch.Generator()), None)
    assert {name: float(loss) for name, loss in losses.items()} == {"square": 4.0, "cube": 9.0}


@pytest.mark.parametrize(
    ("formula", "start", "sentence"),
    [
        ("x**2 + yy", {"x": 1.0, "y": 2.0}, "unknown name 'yy' at column 8: did you mean 'y'"),
        ("x**2", {"x": 1.0, "y": 2.0}, "names the parameter 'y', but no formula uses it"),
        ("x**2", {"x": "2.0"}, "starts at '2.0', which is not a number"),
        ("x**2", {"x": True}, "starts at True, which is not a number"),
        ("x**2", {"x": None}, "starts at None, which is not a number"),
        ("sum(x)", {"x": [[1.0], [1.0, 2.0]]}, "which is not a number or a list of numbers"),
        ("x + pi", {"x": 1.0, "pi": 3.0}, "'pi' cannot name a parameter"),
        ("x + sin(x)", {"x": 1.0, "sin": 3.0}, "'sin' cannot name a parameter"),
        ("x", {"x": 1.0, "a b": 3.0}, "'a b' cannot name a parameter"),
        ("2 + 3", None, "names no parameter"),
        ("2 + 3", {}, "names no parameter"),
        ("x**2", {"x": [1.0, 2.0]}, "gives a tensor of shape [2], but a loss is one number"),
        ("x > 2", {"x": 1.0}, "depends on no parameter"),
        ("x + 1/0", {"x": 1.0}, "cannot be computed at its start (division by zero)"),
        ("x + 9**9**9", {"x": 1.0}, "cannot be computed at its start"),
        ("x[5]", {"x": [1.0, 2.0]}, "cannot be computed at its start (index 5 is out of bounds"),
        ("sum(x + y)", {"x": [1.0, 2.0], "y": [1.0, 2.0, 3.0]}, "cannot be computed at its start"),
        ({"a": "x**2", "b": "3"}, {"x": 1.0}, "The formula '3' depends on no parameter"),
    ],
)
def test_what_cannot_be_minimised_is_refused_in_a_sentence(formula: Any, start: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        Expression(formula, start)
    assert sentence in str(refusal.value)
