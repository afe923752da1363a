"""Tracing a function as the engine does, for tests of what is traced."""

from collections.abc import Callable, Sequence
from typing import Any

from descend.training.compiled import refill, tensors, trace


def graph_of(function: Callable[..., Any], inputs: Sequence[Any]) -> Callable[..., Any]:
    """Return the traced function, from trees of tensors to a tree of tensors."""
    graph, example = trace(function, *inputs)
    return lambda *trees: refill(example, graph(*tensors(trees)))
