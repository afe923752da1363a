"""Taylor coefficients of a function of the parameters along one direction."""

import math

import torch
from torch import Tensor

from descend.derivatives.gradient import connected, graph_roots, require_numbers, scalar
from descend.derivatives.graph import require_twice_differentiable
from descend.derivatives.orders import gradient_of_sum, right_at_any_order
from descend.derivatives.series import expand
from descend.errors import ConfigurationError
from descend.types import Loss, Params

NESTED_UP_TO = 2
"""The highest order at which nested reverse mode is faster (benchmarks/high_orders.py)."""


def taylor(f: Loss, params: Params, direction: Params, order: int) -> Tensor:
    """c_k = (1/k!) d^k/dt^k f(params + t direction) at t = 0, for k = 0 … order; detached.

    Along an update, c_1 + … + c_k is the change of f that a model of order k predicts. Low orders are nested reverse
    passes in the one number t; higher ones come from a single evaluation on truncated Taylor series.

    Args:
        f: a scalar function of the parameters.
        params: where to expand.
        direction: of the same names, shapes, dtype and device.
        order: ≥ 0.

    Returns:
        [order + 1].

    Raises:
        ConfigurationError: for a negative order, a function that is not scalar, and an operation that cannot be
            differentiated so often.
    """
    require_numbers(params)
    if order < 0:
        raise ConfigurationError(f"Taylor coefficients to order {order} were asked for. Give an order of 0 or more.")
    return (nested_taylor if order <= NESTED_UP_TO else series_taylor)(f, params, direction, order)


def nested_taylor(f: Loss, params: Params, direction: Params, order: int) -> Tensor:
    """`taylor` by nested reverse mode: `order` backward passes, each through the graph of the last."""
    first = next(iter(params.values()))
    with torch.enable_grad(), right_at_any_order(order):
        # Not requires_grad=True on creation: inside vmap that silently has no effect, while this raises.
        t = torch.zeros((), dtype=first.dtype, device=first.device).requires_grad_()
        along = {name: torch.addcmul(value.detach(), t, direction[name]) for name, value in params.items()}
        value = scalar(f, along)
        if not value.requires_grad:
            connected(f, graph_roots(params))
        if order > 1:
            require_twice_differentiable(value)
        rows = [value]
        for k in range(1, order + 1):
            rows.append(gradient_of_sum(rows[-1], t, create_graph=k < order))
    return torch.stack([row.detach() / math.factorial(k) for k, row in enumerate(rows)])


def series_taylor(f: Loss, params: Params, direction: Params, order: int) -> Tensor:
    """`taylor` by one evaluation on truncated series, order ≥ 1."""
    detached = {name: value.detach() for name, value in params.items()}
    return expand(lambda along: scalar(f, along), detached, direction, order).detach()
