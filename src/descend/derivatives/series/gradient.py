"""torch.autograd.grad of a series, for losses that differentiate a network themselves."""

from typing import Any

import torch
from torch import Tensor

from descend.derivatives.series.rules import getter, primitive
from descend.derivatives.series.series import Series, Variable
from descend.errors import ConfigurationError
from descend.graph.compat import is_batched


class GraphWanted(Exception):
    """The function differentiates by the expanded tensors within itself: it must be evaluated again, with a graph."""


@primitive(torch.autograd.grad)
def grad(
    t: Variable,
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
    **_: Any,
) -> tuple[Tensor | None, ...]:
    """The series of the gradient: row k is ∂φ_k/∂x_0, where φ(t) = Σ grad_outputs · outputs.

    For a constant x that is because the gradient is linear in φ; for a series x(t), because ∂φ_k/∂x_j is row k − j of
    the gradient at x(t).
    """
    outputs, inputs = ((x,) if isinstance(x, Tensor) else tuple(x) for x in (outputs, inputs))
    weights = (grad_outputs,) if isinstance(grad_outputs, Tensor) else grad_outputs or [None] * len(outputs)
    phi = sum((y if v is None else y * v).sum() for y, v in zip(outputs, weights, strict=True))
    if is_grads_batched or any(is_batched(row) for row in t.rows(phi).unbind(0)):
        raise ConfigurationError(
            "A Taylor series cannot be differentiated in batches (is_grads_batched, jacrev). Use a loop."
        )
    leaves = [x.coefficients if t.owns(x) else x for x in inputs]
    if any(not leaf.requires_grad for leaf in leaves) and not t.followed:
        raise GraphWanted
    table = [_gradients(row, leaves, create_graph) for row in t.rows(phi).unbind(0)]
    columns = zip(inputs, zip(*table, strict=True), strict=True)
    return tuple(_series(t, x, column, materialize_grads) for x, column in columns)


def _gradients(row: Tensor, leaves: list[Tensor], create_graph: bool) -> tuple[Tensor | None, ...]:
    if not row.requires_grad:
        return (None,) * len(leaves)
    return torch.autograd.grad(row, leaves, create_graph=create_graph, retain_graph=True, allow_unused=True)


def _series(t: Variable, x: Tensor, column: tuple[Tensor | None, ...], materialize: bool) -> Tensor | None:
    if all(gradient is None for gradient in column):
        return torch.zeros_like(x) if materialize else None
    zero = torch.zeros_like(x)
    rows = [zero if gradient is None else gradient[0] if t.owns(x) else gradient for gradient in column]
    return t.series(torch.stack(rows))


@primitive(getter("requires_grad"))
def requires_grad(t: Variable, x: Tensor) -> bool:
    """Always True: to code that asks before it detaches, a series is something to differentiate."""
    return True


def as_root(x: Tensor) -> Tensor:
    """x, if it carries a graph that autograd can follow back; else its values, as the root of a new graph."""
    if isinstance(x, Series):
        return x.variable.series(as_root(x.coefficients))
    return x if x.requires_grad else x.detach().requires_grad_()
