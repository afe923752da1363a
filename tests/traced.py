"""Tracing a function as the engine does, for tests of what is traced."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule

from descend.graph.trace import refill, tensors, trace


def graph_of(function: Callable[..., Any], inputs: Sequence[Any]) -> Callable[..., Any]:
    """Return the traced function, from trees of tensors to a tree of tensors; it may take gradients."""
    graph, example = trace(torch.enable_grad()(function), *inputs)
    whole = GraphModule(graph, graph.graph)  # its code is written now: dynamo cannot look into what writes it later
    return lambda *trees: refill(example, whole(*tensors(trees)))
