"""How much a recorded step computes."""

import math

import torch
from torch.fx import GraphModule, Node

from descend.graph.compat import OpOverload
from descend.graph.recorder import VALUE, Value

aten = torch.ops.aten


def multiply_adds(graph: GraphModule) -> int:
    """Return the multiply-adds of the matrix products and convolutions of a recorded function."""
    return sum(of_node(node) for node in graph.graph.nodes if isinstance(node.target, OpOverload))


def of_node(node: Node) -> int:
    """Return the multiply-adds of one operation; 0 for all but products and convolutions."""
    shapes = [x.meta[VALUE].shape for x in node.args if isinstance(x, Node) and isinstance(x.meta.get(VALUE), Value)]
    packet = getattr(node.target, "overloadpacket", None)
    if packet in (aten.mm, aten.bmm):
        return math.prod(shapes[0]) * shapes[1][-1]
    if packet is aten.addmm:
        return math.prod(shapes[1]) * shapes[2][-1]
    if packet is aten.convolution:
        value = node.meta[VALUE]
        return int(value.numel) * math.prod(shapes[1][1:])
    if packet is aten.convolution_backward:  # of the gradients in the input and in the weight
        return 2 * math.prod(shapes[0]) * math.prod(shapes[2][1:])
    return 0
