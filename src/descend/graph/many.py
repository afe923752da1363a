"""Tensors of many runs, as the operations of a stack take them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Node

from descend.graph.recorder import VALUE

VECTORS = 32
"""Two vectors of 64 bytes of float32: torch's elementwise loops take so many numbers at once."""

PARALLEL = 32_768
"""From so many numbers on torch shares an elementwise loop, and a reduction to one number, among threads."""

ALIGNED = 64
"""Bytes. Intel's MKL rounds a product by the address of its matrices, too."""


@dataclass(frozen=True, slots=True)
class Many:
    """A tensor that differs between runs: `x` has the run axis."""

    x: Tensor


Operand = Many | Tensor
"""A tensor that differs between runs, or one that all have in common."""


def runs_of(*operands: Any) -> int:
    """Return how many runs there are."""
    return next(x.x.shape[0] for x in operands if isinstance(x, Many))


def rank_of(node: Node) -> int:
    """Return how many axes the first tensor that a node reads has in one run."""
    source: Any = node.args[0]
    first = source if isinstance(source, Node) else source[0]
    return len(first.meta[VALUE].shape)


def runs_in(x: Tensor, front: int) -> int:
    """Return how many runs a tensor has."""
    return x.shape[0 if front else -1]


def shaped(shape: Sequence[int], runs: int, front: int) -> list[int]:
    """Return the shape of one run's tensor with the run axis in its place."""
    return [runs, *shape] if front else [*shape, runs]


def with_runs(x: Any, runs: int, front: int) -> Tensor:
    """Return the tensor of many runs; one in common is spread over them."""
    if isinstance(x, Many):
        return x.x
    return x.expand(runs, *x.shape) if front else x.unsqueeze(-1).expand(*x.shape, runs)
