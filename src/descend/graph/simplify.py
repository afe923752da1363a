"""Makes a graph smaller: it computes nothing twice, makes no needless copy, and computes no constant in every step.

The time of a small step goes into what is done around each operation, not into the operation.
"""

import operator
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from descend.graph.compat import OpOverload, arguments, lazy_graph_module
from descend.graph.nodes import add_copy
from descend.graph.operations import RESHAPES, SHAPES
from descend.graph.recorder import VALUE, Value, drop_unused

aten = torch.ops.aten

# In a graph that writes nothing in place these return their input.
COPIES = {
    aten.alias.default, aten.clone.default, aten.detach.default, aten.lift_fresh.default, aten.lift_fresh_copy.default,
}  # fmt: skip

VIEWS = {aten.view.default, aten._unsafe_view.default}

SAME_ENTRIES = RESHAPES | {aten.unsqueeze.default, aten.transpose.int, aten.permute.default}

COMPARISONS = {aten.ne.Scalar: torch.ne, aten.eq.Scalar: torch.eq}

MOST_CONSTANT = 4096
"""Constants of more numbers are neither looked at nor computed ahead."""


def simplified(graph: GraphModule) -> GraphModule:
    """Return the graph without operations that return their input; it has constants computed, and equal nodes once."""
    made = Graph()
    constants: dict[str, Tensor] = {}
    new: dict[Node, Node] = {}
    known: dict[Any, Node] = {}
    for node in graph.graph.nodes:
        same = unchanged(node, new, constants) if node.op == "call_function" else None
        if same is not None:
            new[node] = new[same]
            continue
        copy = add_copy(made, node, new)
        if copy.target in VIEWS:  # perhaps only a copy that is left out made a view of its input possible
            copy.target = aten.reshape.default
        if copy.target is aten.stack.default:
            given = arguments(copy.target, copy.args, copy.kwargs)
            if len(given["tensors"]) == 1:
                copy.target, copy.args, copy.kwargs = aten.unsqueeze.default, (*given["tensors"], given["dim"]), {}
        if copy.op == "get_attr":
            constants[str(copy.target)] = getattr(graph, str(copy.target))
        elif found := constant(copy, constants) or constant_comparison(copy, constants):
            copy = replaced(made, copy, found[0], constants)
        key = signature(copy, constants)
        if key is not None and key in known:
            made.erase_node(copy)
        new[node] = copy if key is None else known.setdefault(key, copy)
    drop_unused(made)
    return lazy_graph_module(constants, made)


def unchanged(node: Node, new: dict[Node, Node], constants: dict[str, Tensor]) -> Node | None:
    """Return the input that an operation returns as it is, or None."""
    sources = node.all_input_nodes
    value = node.meta.get(VALUE)
    if not sources or not isinstance(value, Value):
        return None
    first: Any = node.args[0]
    if node.target in COPIES:
        return first
    if node.target is aten.where.self:
        return source_of_where(node, new, constants)
    if node.target is aten.t.default and first.target is aten.t.default:
        return first.args[0]
    alike = [x for x in sources if x.meta.get(VALUE) == value]
    if not alike:
        return None
    if node.target in RESHAPES or (node.target is aten._to_copy.default and not set(node.kwargs) - {"dtype"}):
        return first if first in alike else None
    if node.target is aten.pow.Tensor_Scalar and node.args[1] == 1:
        return first
    if node.target is aten.mul.Tensor and len(sources) == 2:
        one, other = sources
        for x, rest in ((one, other), (other, one)):
            held = constants.get(str(new[x].target)) if new[x].op == "get_attr" else None
            if held is not None and rest in alike and held.numel() <= MOST_CONSTANT and bool((held == 1).all()):
                return rest
    return None


def source_of_where(node: Node, new: dict[Node, Node], constants: dict[str, Tensor]) -> Node | None:
    """Return the input of `where` that all its entries come from, where a constant decides that; else None."""
    condition, yes, no = node.args
    if not isinstance(condition, Node) or new[condition].op != "get_attr":
        return None
    held = constants[str(new[condition].target)]
    found: Any = yes if bool(held.all()) else None if bool(held.any()) else no
    return found if isinstance(found, Node) and found.meta.get(VALUE) == node.meta[VALUE] else None


def constant_comparison(node: Node, constants: dict[str, Tensor]) -> list[Tensor]:
    """Return the result, alone in a list, of comparing entries picked from a constant, if it is the same for all of it.

    A loss compares every batch of labels with the label to ignore, and most data have no such label.
    """
    if node.target not in COMPARISONS:
        return []
    source: Any = node.args[0]
    while isinstance(source, Node) and source.target in SAME_ENTRIES:
        source = source.args[0]
    if not isinstance(source, Node) or source.target is not aten.index.Tensor:
        return []
    picked_from: Any = source.args[0]
    if picked_from.op != "get_attr":
        return []
    bound: Any = node.args[1]
    found = COMPARISONS[node.target](constants[str(picked_from.target)], bound)
    if not found.numel() or bool(found.any()) != bool(found.all()):
        return []
    return [found.reshape(-1)[0].expand(node.meta[VALUE].shape)]


def constant(node: Node, constants: dict[str, Tensor]) -> list[Tensor]:
    """Return the value, alone in a list, of an operation on small constants or shapes alone; else an empty list."""
    value = node.meta.get(VALUE)
    if not isinstance(value, Value) or value.numel > MOST_CONSTANT:
        return []
    if node.target is operator.getitem:
        parts: Any = node.args[0]
        known = isinstance(parts.target, OpOverload) and all(x.op == "get_attr" for x in parts.all_input_nodes)
        return [computed(parts, constants)[node.args[1]]] if known else []
    if not isinstance(node.target, OpOverload) or torch.Tag.nondeterministic_seeded in node.target.tags:
        return []
    if node.target.overloadpacket in SHAPES:
        source = node.all_input_nodes[0].meta[VALUE]
        like = torch.empty(source.shape, dtype=source.dtype, device=source.device)
        return [node.target(like, *node.args[1:], **node.kwargs)]
    if any(x.op != "get_attr" for x in node.all_input_nodes) or node.target is aten.empty.memory_format:
        return []
    return [computed(node, constants)]


def computed(node: Node, constants: dict[str, Tensor]) -> Any:
    """Return the result of an operation on constants."""
    op: Any = node.target
    args, kwargs = map_arg((node.args, node.kwargs), lambda x: constants[str(x.target)])
    return op(*args, **kwargs)


def replaced(graph: Graph, node: Node, found: Tensor, constants: dict[str, Tensor]) -> Node:
    """Put a constant in the place of a node."""
    name = f"computed{len(constants)}"
    constants[name] = found
    made = graph.get_attr(name)
    made.meta = dict(node.meta)
    graph.erase_node(node)
    return made


def signature(node: Node, constants: dict[str, Tensor]) -> Any:
    """Return a key that two nodes share where they compute the same; None for a node that computes nothing.

    Small constants are the same where their bits are: what a network makes at each call, positions and masks, say.
    """
    if node.op == "get_attr":
        held = constants[str(node.target)]
        if held.numel() > MOST_CONSTANT:
            return "get_attr", node.target
        entries = held.detach().cpu().clone(memory_format=torch.contiguous_format).reshape(-1)
        bits = entries.view(torch.uint8).numpy().tobytes()
        return "get_attr", held.dtype, held.device, held.shape, held.stride(), bits
    if node.op != "call_function":
        return None
    return node.target, known_by(node.args), tuple((name, known_by(x)) for name, x in node.kwargs.items())


def known_by(x: Any) -> Any:
    """Return something hashable that is equal for equal arguments only: 1, 1.0 and True are three different ones."""
    if isinstance(x, Node):
        return x
    if isinstance(x, list | tuple):
        return tuple(known_by(item) for item in x)
    if isinstance(x, float):
        return "float", x.hex()
    try:
        hash(x)
    except TypeError:
        return "object", id(x)
    return type(x), x
