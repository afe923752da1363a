"""Nested differentiation of a torch function without a rule, and of that function only."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from descend.derivatives.graph import require_twice_differentiable
from descend.derivatives.series.agreement import require_agreement
from descend.derivatives.series.fused import decomposed
from descend.devices import is_failure
from descend.errors import ConfigurationError
from descend.graph.compat import in_transform, pytree


def name_of(func: Callable) -> str:
    """What a user would call `func`: torch.linalg.det, Tensor.scatter, MyFunction.apply."""
    return torch.overrides.resolve_name(func) or getattr(func, "__qualname__", str(func))


def refuse_in_place(func: Callable, kwargs: dict[str, Any]) -> None:
    """Raise when `func` would write into its argument: a series is a value, and views of it would not follow."""
    name = getattr(func, "__name__", "")
    if name == "backward":
        raise ConfigurationError(
            "backward() was called on a Taylor series. Use torch.autograd.grad, which does not write to .grad."
        )
    operator = name in {"__setitem__", "__iadd__", "__isub__", "__imul__", "__itruediv__", "__idiv__", "__ipow__"}
    if (
        operator
        or (name.endswith("_") and not name.endswith("__"))
        or kwargs.get("inplace")
        or kwargs.get("out") is not None
    ):
        raise ConfigurationError(
            f"{name_of(func)} writes into a tensor whose Taylor series is being computed, which is possible for values "
            "only. Write it out of place (x = x + y for x += y, torch.where or torch.cat for x[i] = y, inplace=False)."
        )


def differentiate_nested(
    t: Any, func: Callable, args: tuple, kwargs: dict[str, Any], own_derivative: bool = False
) -> Any:
    """The series of func(x(t)) by repeated reverse mode in the scalar t.

    φ(v) = Σ v·func(x(t)) is differentiated k times in t, and once in the weights v, in which it is linear: that gives
    every entry of the k-th derivative at once. Its cost doubles or triples with each order. Piecewise constant and
    integer results stay constants.

    The coefficients are checked against the values of `func` along t.

    Args:
        own_derivative: whether `func` is a custom Function, whose derivative may differ from its values on purpose.

    Raises:
        ConfigurationError: names `func`, where torch cannot differentiate it `t.order` times, or gets it wrong.
    """

    if in_transform():
        raise ConfigurationError(
            f"{name_of(func)} has no Taylor rule, and the nested differentiation it needs instead does not work inside "
            "torch.func transforms such as vmap. Trace the function with make_fx, and transform the trace."
        )

    def at(value: Any) -> Any:
        return _horner(value.coefficients, s) if t.owns(value) else value

    state = torch.get_rng_state()
    first = next(each for each in _leaves((args, kwargs)) if t.owns(each))
    s = torch.zeros((), dtype=first.dtype, device=first.device, requires_grad=True)
    try:
        with decomposed():
            value = func(*pytree.tree_map(at, args), **pytree.tree_map(at, kwargs))
        found = pytree.tree_map(lambda y: _coefficients(y, s, t.order) if isinstance(y, Tensor) else y, value)
    except RuntimeError as error:
        if is_failure(error):
            raise
        raise ConfigurationError(
            f"{name_of(func)} has no Taylor rule and torch cannot differentiate it {t.order} times: {error} "
            "Ask for a lower order, or write the function with operations that can be differentiated."
        ) from error
    if (
        not own_derivative and _checkable(args, kwargs) and torch.equal(state, torch.get_rng_state())
    ):  # a function that draws has another value each time
        require_agreement(name_of(func), lambda step, factor: _at(t, func, args, kwargs, step, factor), found, t.order)
    return pytree.tree_map(lambda y: t.series(y) if isinstance(y, Tensor) else y, found)


def _at(t: Any, func: Callable, args: tuple, kwargs: dict[str, Any], step: Tensor, factor: float) -> Any:
    """func(factor · x(step))."""

    def moved(x: Any) -> Any:
        return factor * _horner(x.coefficients, step) if t.owns(x) else x

    return func(*pytree.tree_map(moved, args), **pytree.tree_map(moved, kwargs))


def _checkable(args: tuple, kwargs: dict[str, Any]) -> bool:
    """Whether a function can be evaluated at other points: its arguments hold values, and no generator."""
    every = _leaves((args, kwargs))
    drawing = any(isinstance(each, torch.Generator) for each in every)
    rows = [getattr(each, "coefficients", each) for each in every if isinstance(each, Tensor)]
    return not drawing and all(type(each) in (Tensor, torch.nn.Parameter) for each in rows)


def _leaves(arguments: Any) -> list[Any]:
    return pytree.tree_leaves(arguments)


def _horner(rows: Tensor, s: Tensor) -> Tensor:
    value = rows[-1]
    for k in range(rows.shape[0] - 2, -1, -1):
        value = rows[k] + s * value
    return value


def _coefficients(y: Tensor, s: Tensor, order: int) -> Tensor:
    if not y.requires_grad:
        return y[None]
    require_twice_differentiable(y)  # even the first derivative differentiates twice, in s and in the weights
    weights = torch.ones_like(y, requires_grad=True)
    phi = (weights * y).sum()
    rows = [y]
    for k in range(1, order + 1):
        (phi,) = torch.autograd.grad(phi, s, create_graph=True, allow_unused=True)
        if phi is None or not phi.requires_grad:
            break
        (row,) = torch.autograd.grad(phi, weights, create_graph=True, materialize_grads=True)
        rows.append(row / math.factorial(k))
    return torch.stack(rows)
