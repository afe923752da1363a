"""Leaves out of a step the operations that nothing needs, because a condition is false.

A recorded step has no `if`: it computes both sides of a `torch.where`. Where one truth value decides for all runs
(whether this step estimates a curvature, say), the operations that serve one side alone can be left out of the steps
that take the other side. The results are the same to the bit.
"""

from collections import Counter
from typing import NamedTuple

import torch
from torch.fx import GraphModule, Node

from descend.graph.compat import OpOverload, writes
from descend.graph.recorder import VALUE, Value, returned

where = torch.ops.aten.where.self

LEAST_LEFT_OUT = 10
"""Fewest operations worth leaving out: reading a condition takes about two, and on a GPU the CPU waits for it."""


class Branches(NamedTuple):
    """The operations that conditions decide.

    Attributes:
        serving: operation -> condition: nothing needs the operation where the condition is false.
        choices: `where` -> condition: where it is false the `where` is a copy of its other side, because the first is
            not computed.
    """

    serving: dict[Node, Node]
    choices: dict[Node, Node]

    @property
    def conditions(self) -> set[Node]:
        """The nodes of the conditions."""
        return set(self.choices.values())


def branches(graph: GraphModule) -> Branches:
    """Find operations that can be left out, where they are enough to be worth reading their condition."""
    order = {node: i for i, node in enumerate(graph.graph.nodes)}
    kept = set(returned(graph))
    serving: dict[Node, Node] = {}
    for node in reversed(graph.graph.nodes):
        pure = node.op == "call_function" and not (isinstance(node.target, OpOverload) and writes(node.target))
        if not pure or not node.users or node in kept:
            continue
        condition, *others = {condition_of(user, node, serving) for user in node.users}
        if condition is not None and not others and order[condition] < order[node]:
            serving[node] = condition
    sizes = Counter(serving.values())
    serving = {node: condition for node, condition in serving.items() if sizes[condition] >= LEAST_LEFT_OUT}
    whole = [node for node in graph.graph.nodes if has_one_condition(node) and node not in serving]
    choices = {node: serving[node.args[1]] for node in whole if serving.get(node.args[1]) is node.args[0]}
    return Branches(serving, choices)


def condition_of(user: Node, node: Node, serving: dict[Node, Node]) -> Node | None:
    """Return the condition under which a user needs a node; None where it always does."""
    if user in serving:
        return serving[user]
    taken = has_one_condition(user) and user.args[1] is node and node not in (user.args[0], user.args[2])
    return user.args[0] if taken else None  # type: ignore[return-value]


def has_one_condition(node: Node) -> bool:
    """Tell whether a node is a `where` with one truth value as its condition, between two sides that are alike."""
    if node.target is not where:
        return False
    condition, one, other = (x.meta.get(VALUE) if isinstance(x, Node) else None for x in node.args)
    truth = isinstance(condition, Value) and not condition.shape
    return truth and one is not None and one == other == node.meta.get(VALUE)
