"""A function of trees of tensors as a graph of plain tensor operations.

It is recorded below autograd: the real autograd has then run, so that a custom backward is honoured. (`torch.compile`
of a function that itself takes gradients drops custom backwards without a word.)
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node

from descend.graph.compat import OpOverload, pytree, writes
from descend.graph.recorder import VALUE, OneCall, as_one_node, overwritten, record
from descend.graph.strided import STRIDED


def tensors(tree: Any) -> list[Tensor]:
    """Return the tensors among a tree's leaves, in order."""
    if tree is None or isinstance(tree, Tensor):  # as most batches are
        return [] if tree is None else [tree]
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def refill(tree: Any, found: Iterable[Tensor]) -> Any:
    """Return the tree with its tensors replaced, in order; other leaves stay."""
    rest = iter(found)
    return pytree.tree_map(lambda leaf: next(rest) if isinstance(leaf, Tensor) else leaf, tree)


def trace(function: Callable[..., Any], *inputs: Any) -> tuple[GraphModule, Any]:
    """Return `function` as a graph of plain tensor operations on its inputs' tensors, and an example of its output.

    Raises:
        Untraceable: the function takes the value of a tensor to Python or NumPy (`if`, `.item()`, `.numpy()`).
    """
    examples: list[Any] = []

    def flat(*leaves: Tensor) -> list[Tensor]:
        examples.append(function(*refill(inputs, leaves)))
        return tensors(examples[-1])

    with torch.no_grad():
        graph = record(flat, tensors(inputs))
        operations = [node.target for node in graph.graph.nodes if isinstance(node.target, OpOverload)]
        if any(writes(operation) or operation in STRIDED for operation in operations):
            graph = without_writes(graph, tensors(inputs))
    return graph, examples[-1]


def without_writes(graph: GraphModule, inputs: Sequence[Tensor]) -> GraphModule:
    """Return a graph that computes the same, writes nothing in place, and does without places in memory.

    vmap has no rule for some operations in place, and would loop over the runs.
    """
    try:
        for node in graph.graph.nodes:
            if isinstance(node.target, OneCall):
                node.target = as_operator(node.target, node)
        graph.recompile()
        pure = torch.func.functionalize(graph, remove="mutations")
        return record(pure, inputs, {torch.ops.aten.copy.default: overwritten, ONE_CALL: made_again, **STRIDED})
    finally:
        CALLS.clear()


CALLS: list[tuple[OneCall, list[Any]]] = []
"""What `one_call` can call, and with what in place of `TENSOR`, by their places; empty but in `without_writes`."""

TENSOR = object()


def made_again(place: int, given: Sequence[Tensor]) -> list[Tensor]:
    """Make a `OneCall`, recorded as what it is."""
    call, args = CALLS[place]
    rest = iter(given)
    found = as_one_node(call, *(next(rest) if x is TENSOR else x for x in args))
    return [found] if isinstance(found, Tensor) else list(found)


one_call = torch.library.custom_op("descend::one_call", made_again, mutates_args=())
"""The same as an operator of torch: `functionalize` knows how to handle those."""

ONE_CALL: OpOverload = torch.ops.descend.one_call.default


def as_operator(call: OneCall, node: Node) -> Callable[..., Any]:
    """Return a function that makes a node's call by `one_call`, which takes tensors alone."""
    place, several = len(CALLS), isinstance(node.meta[VALUE], list)
    CALLS.append((call, [TENSOR if isinstance(x, Node) else x for x in node.args]))

    def operator(*given: Any) -> Any:
        found = one_call(place, [x for x in given if isinstance(x, Tensor)])
        return found if several else found[0]

    operator.__name__ = f"call{place}"
    return operator
