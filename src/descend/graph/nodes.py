"""Adding nodes to a graph, in two thirds of torch's time.

A node is made without arguments, and given them afterwards: `Graph.create_node` would first walk through its arguments
to warn of symbolic numbers, which no graph here has.
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch.fx import Graph, Node
from torch.fx.node import map_arg


def add_call(graph: Graph, target: Callable[..., Any], args: tuple, kwargs: Mapping[str, Any] | None = None) -> Node:
    """Add a call of a function to a graph."""
    node = graph.call_function(target)
    node.args = args
    if kwargs:
        node.kwargs = dict(kwargs)
    return node


def add_copy(graph: Graph, node: Node, new: Mapping[Node, Node]) -> Node:
    """Add a copy of another graph's node to a graph.

    Args:
        new: what stands in this graph for each node that is an argument.
    """
    copy = graph.create_node(node.op, node.target, name=node.name, type_expr=node.type)
    copy.args = map_arg(node.args, new.__getitem__)
    if node.kwargs:
        copy.kwargs = map_arg(node.kwargs, new.__getitem__)
    copy.meta = dict(node.meta)
    return copy
