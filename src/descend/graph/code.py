"""A graph made smaller, and made into a Python function that carries it out.

Small steps are bound by what Python does around each operation, not by the operation. So nothing is computed twice or
copied for nothing, and what is left is called with as little around it as there can be.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from descend.graph.compat import OpOverload, bare, lazy_graph_module
from descend.graph.operations import SHAPES
from descend.graph.recorder import VALUE, Value, drop_unused, returned

aten = torch.ops.aten

# In a graph that writes nothing in place, what they return is their input.
COPIES = {
    aten.alias.default, aten.clone.default, aten.detach.default, aten.lift_fresh.default, aten.lift_fresh_copy.default,
}  # fmt: skip

VIEWS = {aten.view.default, aten._unsafe_view.default}

# They change the shape alone.
RESHAPES = {
    aten.view.default, aten._unsafe_view.default, aten.reshape.default, aten.expand.default, aten.squeeze.default,
    aten.squeeze.dim, aten.squeeze.dims, aten.contiguous.default,
}  # fmt: skip

# They return memory of their own, which is contiguous.
MADE = {aten.bmm.default, aten.mm.default, aten.addmm.default, aten.baddbmm.default, aten.cat.default}

# Elementwise operations, and their kernels that write into a tensor they are given.
INTO = {
    aten.abs.default: aten.abs.out, aten.add.Tensor: aten.add.out, aten.addcmul.default: aten.addcmul.out,
    aten.clamp_min.default: aten.clamp_min.out, aten.div.Tensor: aten.div.out, aten.exp.default: aten.exp.out,
    aten.lerp.Tensor: aten.lerp.Tensor_out, aten.log.default: aten.log.out, aten.maximum.default: aten.maximum.out,
    aten.minimum.default: aten.minimum.out, aten.mul.Tensor: aten.mul.out, aten.neg.default: aten.neg.out,
    aten.reciprocal.default: aten.reciprocal.out, aten.rsqrt.default: aten.rsqrt.out,
    aten.sigmoid.default: aten.sigmoid.out, aten.sign.default: aten.sign.out, aten.sqrt.default: aten.sqrt.out,
    aten.sub.Tensor: aten.sub.out, aten.tanh.default: aten.tanh.out, aten.where.self: aten.where.self_out,
}  # fmt: skip

LEAST_REUSED = 1024
"""Numbers: the memory of fewer costs less than what it takes to ask for it."""

MOST_CONSTANT = 4096
"""Constants of more numbers are not looked at, nor computed ahead."""

Compiled = Callable[..., list[Tensor]]
"""Carries out a graph: flat tensors in, flat tensors out."""


def simplified(graph: GraphModule) -> GraphModule:
    """Return the graph without operations that return what they are given, constants computed, equals made once."""
    made = Graph()
    constants: dict[str, Tensor] = {}
    new: dict[Node, Node] = {}
    known: dict[Any, Node] = {}
    for node in graph.graph.nodes:
        same = unchanged(node, new, constants) if node.op == "call_function" else None
        if same is not None:
            new[node] = new[same]
            continue
        copy = made.node_copy(node, lambda x: new[x])
        if copy.target in VIEWS:  # a copy that is left out may have been what made a view of its input possible
            copy.target = aten.reshape.default
        if copy.op == "get_attr":
            constants[str(copy.target)] = getattr(graph, str(copy.target))
        elif found := constant(copy, constants):
            copy = replaced(made, copy, found[0], constants)
        key = signature(copy)
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
    """Return what an operation on constants gives."""
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


def signature(node: Node) -> Any:
    """Return what two nodes that compute the same have in common; None for what is no computation."""
    if node.op == "get_attr":
        return "get_attr", node.target
    if node.op != "call_function":
        return None
    return node.target, known_by(node.args), tuple((name, known_by(x)) for name, x in node.kwargs.items())


def known_by(x: Any) -> Any:
    """Return something hashable that is equal for equal arguments only: 1, 1.0 and True are three."""
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


def parts(graph: GraphModule, early: Sequence[bool]) -> tuple[GraphModule, GraphModule]:
    """Cut a graph in two: what needs only the inputs marked in `early`, and the rest.

    Returns:
        A graph from the marked inputs to what the rest needs of them, and a graph from all inputs, then those values,
        to the outputs.
    """
    before, after = Graph(), Graph()
    own: dict[Node, Node] = {}
    rest: dict[Node, Node] = {}
    marks = iter(early)
    moved: list[Node] = []
    for node in graph.graph.nodes:
        if node.op == "placeholder":
            rest[node] = after.node_copy(node)
            if next(marks):
                own[node] = before.node_copy(node)
        elif node.op == "get_attr":
            rest[node], own[node] = after.node_copy(node), before.node_copy(node)
        elif node.op == "call_function" and needs_only(node, own):
            own[node] = before.node_copy(node, lambda x: own[x])
            moved.append(node)
    needed = [node for node in moved if any(user not in own for user in node.users)]
    for node in needed:
        rest[node] = after.placeholder(f"early_{node.name}")
        rest[node].meta = dict(node.meta)
    before.output([own[node] for node in needed])
    for node in graph.graph.nodes:
        if node not in rest and node not in own:
            rest[node] = after.node_copy(node, lambda x: rest[x])
    for made in (before, after):
        drop_unused(made)
    return lazy_graph_module(graph, before), lazy_graph_module(graph, after)


def needs_only(node: Node, own: dict[Node, Node]) -> bool:
    """Tell whether an operation gives one tensor and needs what is there already."""
    one = isinstance(node.meta.get(VALUE), Value) and node.target is not operator.getitem
    return one and all(source in own for source in node.all_input_nodes)


def function(graph: GraphModule, reuse: bool = False) -> Compiled:
    """Return a Python function that carries out a graph; memory is given back as soon as nothing needs it.

    Args:
        reuse: let elementwise operations write over an input that nothing needs afterwards. Such a function can be
            called, but neither differentiated nor recorded.
    """
    names: dict[Node, str] = {}
    given: dict[str, Any] = {}
    lines: list[str] = []
    last = last_uses(graph)
    places = reused(graph, last) if reuse else {}
    for node in graph.graph.nodes:
        names[node] = f"v{len(names)}"
        if node.op == "get_attr":
            given[names[node]] = getattr(graph, str(node.target))
        if node.op != "call_function":
            continue
        call, place = f"f{len(names)}", places.get(node)
        given[call] = callable_of(node.target if place is None else INTO[node.target])
        text = f"{names[node]} = {line_of(call, node, names, given, place)}"
        gone = [names[x] for x in last.get(node, ()) if x.op == "call_function" or x.op == "placeholder"]
        lines.append(text + (f"; {' = '.join(gone)} = None" if gone else ""))
    inputs = ", ".join(names[node] for node in graph.graph.nodes if node.op == "placeholder")
    outputs = ", ".join(names[node] for node in returned(graph))
    body = "".join(f"    {line}\n" for line in lines)
    exec(compile(f"def run({inputs}):\n{body}    return [{outputs}]\n", "<a step>", "exec"), given)
    return given["run"]


def callable_of(target: Any) -> Any:
    """Return what to call for an operation: what torch's own wrapper calls in turn."""
    return bare(target) if isinstance(target, OpOverload) else target


def reused(graph: GraphModule, last: dict[Node, list[Node]]) -> dict[Node, Node]:
    """Return for elementwise operations an input that nothing needs afterwards: its memory takes the result.

    An input's memory is its own where an operation made it that returns no view, and everything that reads it returns
    none either. What is written is the same to the bit; memory that is in the cache is used again.
    """
    found: dict[Node, Node] = {}
    for node in graph.graph.nodes:
        value = node.meta.get(VALUE)
        if node.target not in INTO or not isinstance(value, Value) or value.numel < LEAST_REUSED:
            continue
        ends = [x for x in last.get(node, ()) if x.meta.get(VALUE) == value and is_fresh(x)]
        if ends:
            found[node] = ends[0]
    return found


def is_elementwise(node: Node) -> bool:
    """Tell whether a node is an operation that works on each entry by itself."""
    target: Any = node.target
    known = node.op == "call_function" and isinstance(target, OpOverload)
    return known and torch.Tag.pointwise in target.tags and isinstance(node.meta.get(VALUE), Value)


def is_fresh(node: Node) -> bool:
    """Tell whether a node's memory is its own, and of one piece: read by what returns no view of it."""
    target: Any = node.target
    made = is_elementwise(node) or (node.op == "call_function" and target in MADE)
    return made and all(is_elementwise(user) or user.target in MADE for user in node.users)


def line_of(call: str, node: Node, names: dict[Node, str], given: dict[str, Any], place: Node | None = None) -> str:
    """Return a call as Python text; values that have no text of their own become names in `given`.

    Args:
        place: whose memory takes the result, if any does.
    """
    if node.target is operator.getitem:
        return f"{names[node.args[0]]}[{node.args[1]}]"  # type: ignore[index]

    def text(x: Any) -> str:
        if isinstance(x, Node):
            return names[x]
        if isinstance(x, list | tuple):
            return "[" + ", ".join(map(text, x)) + "]"
        if x is None or type(x) in (int, bool, str):
            return repr(x)
        name = f"c{len(given)}"
        given[name] = x
        return name

    words = [text(x) for x in node.args] + [f"{name}={text(x)}" for name, x in node.kwargs.items()]
    words += [] if place is None else [f"out={names[place]}"]
    return f"{call}({', '.join(words)})"


def last_uses(graph: GraphModule) -> dict[Node, list[Node]]:
    """Return for each node the values that nothing needs after it."""
    kept = set(returned(graph))
    found: dict[Node, list[Node]] = {}
    last: dict[Node, Node] = {}
    for node in graph.graph.nodes:
        if node.op != "output":
            last |= dict.fromkeys(node.all_input_nodes, node)
    for value, user in last.items():
        if value not in kept:
            found.setdefault(user, []).append(value)
    return found
