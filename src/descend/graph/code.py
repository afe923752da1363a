"""Turns a graph into a Python function, with as little overhead around each operation as possible.

The time of a small step goes into what Python does around each operation, not into the operation.
"""

import operator
from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from descend.graph.branches import Branches, branches
from descend.graph.compat import OpOverload, bare, lazy_graph_module
from descend.graph.nodes import add_copy
from descend.graph.recorder import VALUE, Value, inputs, returned

aten = torch.ops.aten

# Operations that return memory of their own, which is contiguous.
MADE = {aten.bmm.default, aten.mm.default, aten.addmm.default, aten.baddbmm.default, aten.cat.default}

# Elementwise operations, and their kernels that write into a given tensor.
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
"""Fewest numbers in a tensor whose memory is reused: passing `out` costs more than new memory for a smaller one."""

Compiled = Callable[..., list[Tensor]]
"""Carries out a graph: flat tensors in, flat tensors out."""


def split_early(graph: GraphModule, early: Sequence[bool]) -> tuple[GraphModule, GraphModule]:
    """Cut a graph in two: the operations that need only the inputs marked in `early`, and the rest.

    Returns:
        A graph from the marked inputs to the values that the rest needs, and a graph from all inputs, followed by those
        values, to the outputs.
    """
    given = inputs(graph)
    marked = [node for node, own in zip(given, early, strict=True) if own]
    own = set(marked) | {node for node in graph.graph.nodes if node.op == "get_attr"}
    moved = []
    for node in graph.graph.nodes:
        if node.op == "call_function" and needs_only(node, own):
            own.add(node)
            moved.append(node)
    needed = [node for node in moved if any(user not in own for user in node.users)]
    return subgraph(graph, marked, needed), subgraph(graph, [*given, *needed], returned(graph))


def subgraph(graph: GraphModule, sources: Sequence[Node], targets: Sequence[Node]) -> GraphModule:
    """Return the part of a graph that computes `targets`, given `sources`; these are its inputs, in that order."""
    made = Graph()
    new: dict[Node, Node] = {}
    for node in sources:
        new[node] = made.placeholder(node.name)
        new[node].meta = dict(node.meta)
    needed = set(targets)
    for node in reversed(graph.graph.nodes):
        if node in needed and node not in new:
            needed.update(node.all_input_nodes)
    for node in graph.graph.nodes:
        if node in needed and node not in new:
            new[node] = add_copy(made, node, new)
    made.output([new[node] for node in targets])
    return lazy_graph_module(graph, made)


def needs_only(node: Node, own: Container[Node]) -> bool:
    """Tell whether an operation gives one tensor and needs only nodes that are in `own`."""
    one = isinstance(node.meta.get(VALUE), Value) and node.target is not operator.getitem
    return one and all(source in own for source in node.all_input_nodes)


def python_function(graph: GraphModule, reuse: bool = False) -> Compiled:
    """Return a Python function that carries out a graph; it frees memory as soon as nothing needs it.

    Args:
        reuse: let elementwise operations write over an input that nothing needs afterwards. Such a function can be
            called, but neither differentiated nor recorded.
    """
    names: dict[Node, str] = {}
    given: dict[str, Any] = {}
    lines: list[str] = []
    last, when = last_uses(graph), branches(graph)
    places = reused(graph, last) if reuse else {}
    for node in graph.graph.nodes:
        names[node] = f"v{len(names)}"
        if node.op == "get_attr":
            given[names[node]] = getattr(graph, str(node.target))
        if node.op == "call_function":
            call, place = f"f{len(names)}", None if node in when.choices else places.get(node)
            given[call] = callable_of(node.target if place is None else INTO[node.target])
            text = line_of(call, node, names, given, place)
            gone = [names[x] for x in last.get(node, ()) if x.op == "call_function" or x.op == "placeholder"]
            lines.append(branched(text, node, names, when))
            lines += [f"{' = '.join(gone)} = None"] if gone else []
        if node in when.conditions:
            lines.append(f"if_{names[node]} = bool({names[node]})")
    inputs = ", ".join(names[node] for node in graph.graph.nodes if node.op == "placeholder")
    outputs = ", ".join(names[node] for node in returned(graph))
    body = "".join(f"    {line}\n" for line in lines)
    exec(compile(f"def run({inputs}):\n{body}    return [{outputs}]\n", "<a step>", "exec"), given)
    return given["run"]


def branched(text: str, node: Node, names: dict[Node, str], when: Branches) -> str:
    """Return the line that computes a node by `text`, or leaves it out where the condition that it serves is false."""
    name = names[node]
    if node in when.choices:
        return f"{name} = {text} if if_{names[when.choices[node]]} else {names[node.args[2]]}.clone()"  # type: ignore[index]
    return f"if if_{names[when.serving[node]]}: {name} = {text}" if node in when.serving else f"{name} = {text}"


def callable_of(target: Any) -> Any:
    """Return the function to call for an operation; for an operator, the function that torch's wrapper calls."""
    return bare(target) if isinstance(target, OpOverload) else target


def reused(graph: GraphModule, last: dict[Node, list[Node]]) -> dict[Node, Node]:
    """Return for elementwise operations an input that nothing needs afterwards: its memory receives the result.

    The operation that made this input must return no view, and neither may any operation that reads it. The result is
    the same to the bit; memory that is in the cache is used again.
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
    """Tell whether a node has contiguous memory of its own, and nothing that reads it returns a view of it."""
    target: Any = node.target
    made = is_elementwise(node) or (node.op == "call_function" and target in MADE)
    return made and all(is_elementwise(user) or user.target in MADE for user in node.users)


def line_of(call: str, node: Node, names: dict[Node, str], given: dict[str, Any], place: Node | None = None) -> str:
    """Return a call as Python text; values that cannot be written as text become names in `given`.

    Args:
        place: the node whose memory receives the result, if any.
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
