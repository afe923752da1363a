"""What is not covered by a rule: custom functions, blocks without gradient, writes in place, nested expansions."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from descend.derivatives.series import Series, expand
from descend.errors import ConfigurationError


class OldCube(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x * x * gradient


class NewExp(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, scale: float) -> Tensor:
        return scale * torch.exp(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.saved_tensors[0] * gradient, None


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.round(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        return x * 2, x * x

    @staticmethod
    def backward(ctx: Any, double: Tensor, square: Tensor) -> Tensor:
        raise NotImplementedError


class OnceOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 3 * ctx.saved_tensors[0] ** 2 * gradient


bound_before = OldCube.apply
X = torch.tensor([0.4, -1.1, 2.0], dtype=torch.float64)
ONE = torch.ones_like(X)


@pytest.mark.parametrize("cube", [OldCube.apply, bound_before], ids=["looked up", "bound at import"])
def test_a_custom_function_is_differentiated_by_its_own_backward(cube: Callable[[Tensor], Tensor]) -> None:
    exact = expand(lambda x: torch.sin(x) ** 3 * x, X, ONE, 5)
    torch.testing.assert_close(expand(lambda x: cube(torch.sin(x)) * x, X, ONE, 5), exact)
    value = expand(lambda x: NewExp.apply(x * x, 3.0), X, ONE, 5)
    torch.testing.assert_close(value, expand(lambda x: 3 * torch.exp(x * x), X, ONE, 5))


def test_a_straight_through_estimator_passes_its_backward_on_not_its_forward() -> None:
    rows = expand(lambda x: StraightThrough.apply(x) ** 2, X, ONE, 3)
    rounded = torch.round(X)
    torch.testing.assert_close(rows, torch.stack([rounded**2, 2 * rounded, ONE, 0 * ONE]))


def test_custom_functions_are_their_own_again_afterwards() -> None:
    expand(OldCube.apply, X, ONE, 3)
    with pytest.raises(ConfigurationError):
        expand(OnceOnly.apply, X, ONE, 3)
    assert "apply" not in vars(torch.autograd.function._SingleLevelFunction)


def test_rules_work_under_vmap_and_nested_differentiation_says_that_it_does_not() -> None:
    def batched(function: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.vmap(lambda x: expand(function, x, torch.ones_like(x), 3))(X).T

    for function in (torch.tanh, torch.nn.functional.gelu, lambda x: (x * x).softmax(-1).sum() / x):
        torch.testing.assert_close(
            batched(function), torch.cat([expand(function, x, torch.ones_like(x), 3)[:, None] for x in X], 1)
        )
    for function in (lambda x: NewExp.apply(x, 2.0), torch.lgamma):
        with pytest.raises(ConfigurationError, match="make_fx"):
            batched(function)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: OnceOnly.apply(x), "OnceOnly.*once_differentiable"),
        (lambda x: torch.cdist(x[:, None], 2 * x[:, None]), "cdist"),
        (lambda x: x.clone().mul_(2), "mul_ writes into a tensor"),
        (lambda x: torch.nn.functional.relu(x, inplace=True), "relu writes into a tensor"),
    ],
    ids=["once differentiable", "no second derivative", "in place", "inplace=True"],
)
def test_what_cannot_be_had_is_refused_by_name(function: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        expand(function, X, ONE, 3)


def test_assignment_is_refused() -> None:
    def assign(x: Tensor) -> Tensor:
        y = x * 2
        y[0] = 1.0
        return y

    def add(x: Tensor) -> Tensor:
        y = x * 2
        y += 1
        return y

    for function in (assign, add):
        with pytest.raises(ConfigurationError, match="Write it out of place"):
            expand(function, X, ONE, 2)


def test_blocks_without_gradient_make_constants() -> None:
    def function(x: Tensor) -> Tensor:
        with torch.no_grad():
            held = torch.sin(x)
        return held * x

    torch.testing.assert_close(expand(function, X, ONE, 2), torch.stack([X.sin() * X, X.sin(), 0 * X]))


def test_without_grad_mode_the_rows_carry_no_graph() -> None:
    weight = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    assert expand(lambda x: torch.tanh(weight * x), X, ONE, 3).requires_grad
    with torch.no_grad():
        assert not expand(lambda x: torch.tanh(weight * x), X, ONE, 3).requires_grad


def test_expansions_nest_without_confusing_their_variables() -> None:
    def inner(x: Tensor) -> Tensor:
        # ∂²/∂y² of sin(x y) at y = x, x held: −x² sin(x²).
        return 2 * expand(lambda y: torch.sin(x * y), x, torch.ones_like(x), 2)[2]

    torch.testing.assert_close(expand(inner, X, ONE, 4), expand(lambda x: -x * x * torch.sin(x * x), X, ONE, 4))
    # The classic: d/dx (x · d/dy (x + y)) is 1, not 2.
    rows = expand(lambda x: x * expand(lambda y: x + y, X, ONE, 1)[1], X, ONE, 1)
    torch.testing.assert_close(rows[1], ONE)


@pytest.mark.parametrize("inner", [torch.tanh, lambda x: x**3 * torch.exp(x)])
def test_a_function_that_calls_autograd_itself(inner: Callable[[Tensor], Tensor]) -> None:
    def slope_in_a_constant(w: Tensor) -> Tensor:
        points = torch.linspace(-1, 1, 3, dtype=torch.float64).requires_grad_()
        (first,) = torch.autograd.grad(inner(w * points).sum(), points, create_graph=True)
        (second,) = torch.autograd.grad(first, points, w * torch.ones_like(first), create_graph=True)
        return second

    def twin(w: Tensor) -> Tensor:
        points = torch.linspace(-1, 1, 3, dtype=torch.float64)
        return w * 2 * expand(lambda x: inner(w * x), points, torch.ones_like(points), 2)[2]

    torch.testing.assert_close(expand(slope_in_a_constant, X, ONE, 3), expand(twin, X, ONE, 3))


def test_autograd_in_the_series_itself_gives_the_series_of_the_gradient() -> None:
    start = X.clone().requires_grad_()
    rows = expand(lambda x: torch.autograd.grad(torch.sin(x).sum(), x, create_graph=True)[0], start, ONE, 4)
    torch.testing.assert_close(rows, expand(torch.cos, X, ONE, 4))


def test_unused_inputs_of_autograd_are_none_or_zero() -> None:
    unused = torch.ones(2, requires_grad=True)
    weight = torch.ones(3, dtype=torch.float64, requires_grad=True)

    def function(x: Tensor) -> Tensor:
        gradient, none = torch.autograd.grad((weight * x).sum(), (weight, unused), allow_unused=True)
        zeros = torch.autograd.grad((weight * x).sum(), unused, materialize_grads=True)[0]
        assert none is None
        assert zeros.tolist() == [0, 0]
        return gradient

    torch.testing.assert_close(expand(function, X, ONE, 1), torch.stack([X, ONE]))


def test_a_series_says_no_to_what_escapes_the_function_protocol() -> None:
    seen = []

    def noted(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    expand(noted, X, ONE, 1)
    assert isinstance(seen[0], Series)
    with torch._C.DisableTorchFunctionSubclass(), pytest.raises(ConfigurationError, match="outside torch's function"):
        torch.sin(seen[0])


def test_transforms_of_torch_func_inside_the_function_work_or_say_no() -> None:
    w = torch.tensor([0.4, -1.1, 0.6], dtype=torch.float64)
    rows = expand(lambda x: torch.func.grad(lambda w: torch.sin(w * x).sum())(w), X, ONE, 3)
    torch.testing.assert_close(rows, expand(lambda x: x * torch.cos(w * x), X, ONE, 3))
    for inner in (
        lambda x: torch.func.jacrev(lambda w: torch.sin(w * x))(w),
        lambda x: torch.vmap(lambda w: torch.sin(w * x))(w),
        lambda x: torch.vmap(torch.sin)(x),
        lambda x: torch.func.grad(lambda x: torch.sin(x).sum())(x),
        lambda x: x.sum().backward(),
    ):
        with pytest.raises(ConfigurationError):
            expand(inner, X, ONE, 3)


def test_dicts_lists_and_constants_go_through() -> None:
    point, direction = {"a": X, "b": [X[:1]]}, {"a": ONE, "b": [ONE[:1]]}
    result = expand(lambda p: {"product": p["a"] * p["b"][0], "constant": torch.arange(2.0)}, point, direction, 2)
    torch.testing.assert_close(result["product"], torch.stack([X * X[0], X + X[0], ONE]))
    torch.testing.assert_close(result["constant"], torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]))


def test_random_masks_are_drawn_once() -> None:
    torch.manual_seed(0)
    rows = expand(lambda x: torch.nn.functional.dropout(x * x, 0.5), X, ONE, 2)
    torch.manual_seed(0)
    mask = torch.nn.functional.dropout(ONE, 0.5)
    torch.testing.assert_close(rows, torch.stack([X * X, 2 * X, ONE]) * mask)
    assert math.isfinite(rows.sum())
