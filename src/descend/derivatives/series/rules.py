"""How each torch function acts on truncated Taylor series: a table to which every other file of this package adds.

A primitive rule `rule(t, *args, **kwargs)` works on coefficients in the variable `t`; an argument that `t` does not own
is a constant. A decomposition rewrites the function in simpler torch functions, each of which has its rule.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Rule = Callable[..., Any]

PRIMITIVES: dict[Callable, Rule] = {}
DECOMPOSITIONS: dict[Callable, Rule] = {}

_NAMESPACES = (torch, Tensor, F, torch.special)


def functions_named(*names: str) -> Iterable[Callable]:
    """Every torch function, tensor method and operator called one of `names`, in all the places torch keeps them."""
    for name in names:
        for space in _NAMESPACES:
            if hasattr(space, name):
                yield getattr(space, name)


def getter(attribute: str) -> Callable:
    """The function that torch's function protocol receives when an attribute of a tensor is read."""
    return getattr(Tensor, attribute).__get__


def primitive(*functions: Callable) -> Callable[[Rule], Rule]:
    """Register the decorated rule for each of `functions`."""

    def register(rule: Rule) -> Rule:
        PRIMITIVES.update(dict.fromkeys(functions, rule))
        return rule

    return register


def decomposition(*functions: Callable) -> Callable[[Rule], Rule]:
    """Register the decorated plain torch function as the definition of each of `functions`."""

    def register(rule: Rule) -> Rule:
        DECOMPOSITIONS.update(dict.fromkeys(functions, rule))
        return rule

    return register
