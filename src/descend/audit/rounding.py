"""The size of the numbers that a result was summed from, which says how much rounding may change each of its entries.

An entry may be small because terms cancelled, or because it is small. Monte Carlo arithmetic tells one from the other:
every operation's result is moved by a small random share, and the result's own move, divided by that share, is the size
of the numbers it was made of (Parker 1997, "Monte Carlo arithmetic: exploiting randomness in floating-point
arithmetic").
"""

from typing import Any

import torch
from torch import Tensor

from descend.audit.subspace import Function
from descend.graph.compat import TorchDispatchMode, pytree, returns_new

SAMPLES = 3
SHARE = 2.0**-36
"""Share by which float64 results are moved: far above their rounding, far below what changes a derivative."""
LESS = 2.0**-6
"""Factor of a second, smaller move: a result that does not move less with it jumps, which is not rounding."""


def magnitude(derivative: Function, at: Tensor, share: float = SHARE) -> Tensor:
    """Size of the numbers that each entry of derivative(at) was summed from; of its shape, at least its entries' own.

    At a kink, where the least move changes an entry by a jump, it is the entry's own size. Entries that could not be
    computed are NaN or infinite.
    """
    value = derivative(at).detach()
    more, less = (_spread(derivative, at, value, each) / each for each in (share, share * LESS))
    jumps = less > more / LESS**0.5
    return torch.maximum(torch.where(jumps, 0.0, torch.minimum(more, less / LESS**0.5)), value.abs())


def _spread(derivative: Function, at: Tensor, value: Tensor, share: float) -> Tensor:
    """How far each entry moves where every operation's result is moved by `share`."""
    moves = torch.zeros_like(value)
    for seed in range(SAMPLES):
        with _Moved(share, seed):
            moved = derivative(at).detach()
        moves = torch.maximum(moves, (moved - value).abs().nan_to_num(nan=0.0, posinf=0.0))
    return moves


class _Moved(TorchDispatchMode):
    """Moves the result of every floating-point operation by a random share of itself; views and writes are left."""

    def __init__(self, share: float, seed: int) -> None:
        super().__init__()
        self._share = share
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        found = func(*args, **(kwargs or {}))
        made = returns_new(func)
        if not made or not any(isinstance(x, Tensor) for x in pytree.tree_leaves((args, kwargs))):
            return found
        return pytree.tree_map(self._move, found)

    def _move(self, x: Any) -> Any:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            return x
        unit = torch.rand(x.shape, generator=self._generator, dtype=torch.float64, device="cpu")
        return x * (1 + self._share * (2 * unit.to(x) - 1)).to(x.dtype)
