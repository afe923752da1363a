"""The k-th derivative of a function of one number, at every point of a tensor."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from descend.derivatives.graph import autograd_errors_explained, require_twice_differentiable
from descend.derivatives.series import as_root, decomposed, expand, twice_differentiable
from descend.errors import ConfigurationError

Pointwise = Callable[[Tensor], Tensor]
"""A function of one number, evaluated at every point of a tensor: entry i of the result depends on point i alone."""

NESTED_UP_TO = 2
"""The highest order at which nested reverse mode is faster (benchmarks/orders.py)."""


def derivative(f: Pointwise, order: int) -> Pointwise:
    """f^(order), by the faster of two routes that agree: nested reverse mode up to order 2, a Taylor series beyond.

    Nested differentiation makes a graph that grows two- to threefold with each order; a series costs order². Neither
    uses forward mode, which is silently wrong for several of torch's functions when it is nested.

    Args:
        f: maps points [*shape] to values of that shape, each a function of its own point.
        order: ≥ 0.

    Returns:
        A function like `f`. Its result carries a graph while grad mode is on: it can be differentiated in the points,
        and in the parameters that `f` closes over.

    Raises:
        ConfigurationError: for a negative order, for values of another shape than the points, and for an operation
            torch cannot differentiate so often.
    """
    return nested_derivative(f, order) if order <= NESTED_UP_TO else taylor_derivative(f, order)


def nested_derivative(f: Pointwise, order: int) -> Pointwise:
    """f^(order) by `order` reverse passes, each through the graph of the last; arguments as for `derivative`."""
    _check_order(order)

    def differentiated(points: Tensor) -> Tensor:
        graph = torch.is_grad_enabled()
        with torch.enable_grad(), right_at_any_order(order):
            points = as_root(points)
            value = _checked(f(points), points)
            if order > 1:
                require_twice_differentiable(value)
            for k in range(1, order + 1):
                value = gradient_of_sum(value, points, create_graph=graph or k < order)
        return value if graph else value.detach()

    return differentiated


def taylor_derivative(f: Pointwise, order: int) -> Pointwise:
    """f^(order) = order! x_order from one truncated Taylor series (`series`); arguments as for `derivative`."""
    _check_order(order)

    def differentiated(points: Tensor) -> Tensor:
        rows = expand(lambda x: _checked(f(x), x), points, torch.ones_like(points), order)
        return math.factorial(order) * rows[order]

    return differentiated if order else f


def gradient_of_sum(value: Tensor, points: Tensor, create_graph: bool) -> Tensor:
    """d(Σ value)/d points, of the shape of `points`; zero where nothing depends on them.

    Raises ConfigurationError where an operation has no derivative of this order.
    """
    if not value.requires_grad:
        return torch.zeros_like(points)
    weights = torch.ones_like(value)
    try:
        (slope,) = torch.autograd.grad(value, points, weights, create_graph=create_graph, allow_unused=True)
    except RuntimeError:
        with autograd_errors_explained():
            raise
    return torch.zeros_like(points) if slope is None else slope


def right_at_any_order(order: int) -> AbstractContextManager:
    """A context in which nested differentiation is right: torch's weight norm fails from order 2 on, others later."""
    if order < 2:
        return nullcontext()
    return decomposed() if order > 2 else twice_differentiable()


def _check_order(order: int) -> None:
    if order < 0:
        raise ConfigurationError(f"A derivative of order {order} was asked for. Give an order of 0 or more.")


def _checked(value: Tensor, points: Tensor) -> Tensor:
    if value.shape != points.shape:
        raise ConfigurationError(
            f"The function returned values of shape {list(value.shape)} for points of shape {list(points.shape)}. "
            "Its derivative needs one value for each point: give a function whose values have the shape of its points."
        )
    return value
