"""Tensors of many runs, as the operations of a stack take them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.fx import Node

from descend.graph.recorder import VALUE

VECTORS = 32
"""Two vectors of 64 bytes of float32: torch's elementwise loops take this many numbers at once."""

PARALLEL = 32_768
"""From this many numbers on torch shares an elementwise loop, and a reduction to one number, among threads."""

ALIGNED = 64
"""Bytes to which matrices are aligned: Intel's MKL rounds a product differently at other addresses."""


@dataclass(frozen=True, slots=True)
class Many:
    """A tensor that differs between runs: `x` has the run axis."""

    x: Tensor


Operand = Many | Tensor
"""A tensor that differs between runs, or one that all have in common."""


def runs_of(*operands: Any) -> int:
    """Return the number of runs, the first axis of the operands that differ between runs."""
    return next(x.x.shape[0] for x in operands if isinstance(x, Many))


def rank_of(node: Node) -> int:
    """Return how many axes the first tensor that a node reads has in one run."""
    source: Any = node.args[0]
    first = source if isinstance(source, Node) else source[0]
    return len(first.meta[VALUE].shape)


def runs_in(x: Tensor, front: int) -> int:
    """Return the number of runs of a tensor."""
    return x.shape[0 if front else -1]


def shaped(shape: Sequence[int], runs: int, front: int) -> list[int]:
    """Return the shape of one run's tensor with the run axis in its place."""
    return [runs, *shape] if front else [*shape, runs]


def with_runs(x: Any, runs: int, front: int) -> Tensor:
    """Return a tensor with the run axis; a tensor that all runs have in common is expanded over them."""
    if isinstance(x, Many):
        return x.x
    return x.expand(runs, *x.shape) if front else x.unsqueeze(-1).expand(*x.shape, runs)
