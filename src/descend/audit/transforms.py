"""The ways to differentiate once more: each turns a function of s [d] into its derivative, with one more axis [d]."""

import torch
from torch import Tensor
from torch.func import jvp, vjp, vmap

from descend.audit.subspace import Function


def _leaf(s: Tensor) -> Tensor:
    return s if s.requires_grad else s.detach().requires_grad_()


def reverse(function: Function) -> Function:
    """`torch.autograd.grad`, one component at a time, the graph kept for the next."""

    def derivative(s: Tensor) -> Tensor:
        leaf = _leaf(s)
        value = function(leaf)
        rows = [_gradient(component, leaf) for component in value.reshape(-1)]
        return torch.stack(rows).reshape(value.shape + s.shape)

    return derivative


def nested_reverse(function: Function, order: int) -> Function:
    """`reverse` order times."""
    for _ in range(order):
        function = reverse(function)
    return function


def reverse_batched(function: Function) -> Function:
    """`torch.autograd.grad` with `is_grads_batched`: all components in one backward."""

    def derivative(s: Tensor) -> Tensor:
        leaf = _leaf(s)
        value = function(leaf)
        units = torch.eye(value.numel(), dtype=s.dtype, device=s.device).reshape(-1, *value.shape)
        options = {"is_grads_batched": True, "create_graph": True, "allow_unused": True}
        (rows,) = torch.autograd.grad(value, leaf, units, **options) if value.requires_grad else (None,)
        return s.new_zeros(value.shape + s.shape) if rows is None else rows.reshape(value.shape + s.shape)

    return derivative


def pullback(function: Function) -> Function:
    """`torch.func.vjp`, one component at a time."""

    def derivative(s: Tensor) -> Tensor:
        value, pull, *_ = vjp(function, s)
        units = torch.eye(value.numel(), dtype=s.dtype, device=s.device).reshape(-1, *value.shape)
        return torch.stack([pull(unit)[0] for unit in units]).reshape(value.shape + s.shape)

    return derivative


def forward(function: Function) -> Function:
    """`torch.func.jvp`, one direction at a time."""

    def derivative(s: Tensor) -> Tensor:
        units = torch.eye(len(s), dtype=s.dtype, device=s.device)
        return torch.stack([jvp(function, (s,), (unit,))[1] for unit in units], dim=-1)

    return derivative


def batched_points(function: Function, order: int, copies: int) -> Function:
    """The derivative of `order` of a batch under vmap, by gradients of its sum."""

    def derivative(s: Tensor) -> Tensor:
        batch = s.expand(copies, -1).detach().clone().requires_grad_()
        value = vmap(function)(batch)
        for _ in range(order):
            columns = value.reshape(copies, -1).unbind(dim=1)
            rows = [_gradient(column.sum(), batch) for column in columns]
            value = torch.stack(rows, dim=1).reshape(value.shape + s.shape)
        return value[0]

    return derivative


def _gradient(component: Tensor, leaf: Tensor) -> Tensor:
    if not component.requires_grad:
        return torch.zeros_like(leaf)
    return torch.autograd.grad(component, leaf, create_graph=True, materialize_grads=True)[0]
