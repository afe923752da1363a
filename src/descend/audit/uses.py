"""Finds the operators and custom Functions that a function uses: known faults depend on these."""

from dataclasses import dataclass
from typing import Any

import torch

from descend.derivatives.gradient import graph_roots
from descend.derivatives.graph import nodes
from descend.graph.compat import TorchDispatchMode, function_of, qualified_name
from descend.types import Loss, Params

NORMALISATIONS = ("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "miopen_batch_norm")
TRAINING = 5
"""Position of the flag among the arguments of a batch normalisation."""


@dataclass(frozen=True)
class Uses:
    """The operators and custom Functions in one evaluation of a function.

    Attributes:
        operators: names of ATen operators, without batch normalisations by running statistics.
        functions: custom autograd Functions.
    """

    operators: frozenset[str]
    functions: tuple[type[torch.autograd.Function], ...]


def uses(function: Loss, params: Params) -> Uses:
    """Evaluate `function` once at `params` and tell what it uses."""
    operators, inputs = _Operators(), graph_roots(params)
    with operators, torch.enable_grad():
        value = function(inputs)
    functions = {kind for node in nodes(value) if (kind := function_of(node)) is not None}
    ordered = tuple(sorted(functions, key=lambda each: each.__qualname__))
    return Uses(frozenset(operators.seen), ordered)


class _Operators(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = qualified_name(func).partition("::")[2]
        if name not in NORMALISATIONS or args[TRAINING]:
            self.seen.add(name)
        return func(*args, **(kwargs or {}))
