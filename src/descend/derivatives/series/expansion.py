"""The Taylor coefficients of any torch function along a direction, in one evaluation."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from descend.derivatives.series.custom_function import custom_functions_intercepted
from descend.derivatives.series.fused import twice_differentiable
from descend.derivatives.series.gradient import GraphWanted
from descend.derivatives.series.series import Variable
from descend.graph.compat import pytree


def expand(f: Callable[[Any], Any], point: Any, direction: Any, order: int) -> Any:
    """Taylor coefficients of t -> f(point + t direction) at t = 0, by O(order²) recurrences through ordinary code.

    `f` is evaluated once, on tensors that carry their series (`Series`). A function without a recurrence is
    differentiated by nested reverse mode, that function alone. The result can be differentiated further, in `point`
    and in whatever else `f` depends on, as long as grad mode is on.

    Args:
        f: takes and returns a tensor, or a tree (dict, list, tuple) of tensors.
        point: where to expand.
        direction: a tree like `point`, each tensor of the same shape, dtype and device.
        order: the highest order, ≥ 1.

    Returns:
        For each tensor [*shape] that `f` returns, [order + 1, *shape]: row k is (1/k!) d^k/dt^k.

    Raises:
        ConfigurationError: for an operation that cannot be differentiated so often, or that writes in place; it names
            the operation.
    """
    try:
        return _expanded(f, point, direction, Variable(order))
    except GraphWanted:
        return _expanded(f, point, direction, Variable(order, followed=True))


def _expanded(f: Callable[[Any], Any], point: Any, direction: Any, t: Variable) -> Any:
    def along(x: Tensor, d: Tensor) -> Tensor:
        rows = torch.stack([x, d])
        return t.series(rows.requires_grad_() if t.followed and not rows.requires_grad else rows)

    # A no_grad block inside f makes constants, as for autograd; one around this call only asks for no graph.
    safe = twice_differentiable() if t.order > 1 else nullcontext()
    with torch.enable_grad(), custom_functions_intercepted(), safe:
        value = f(pytree.tree_map(along, point, direction))
    return pytree.tree_map(lambda y: _all_rows(t, y), value)


def _all_rows(t: Variable, value: Tensor) -> Tensor:
    rows = t.rows(value)
    missing = t.order + 1 - rows.shape[0]
    if missing:
        rows = torch.cat([rows, torch.zeros_like(rows[:1]).expand(missing, *rows.shape[1:])])
    return rows if torch.is_grad_enabled() else rows.detach()
