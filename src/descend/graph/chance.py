"""Random numbers that belong to a run: a draw depends on the run's seed, its step, and the draw's number in the step.

A process has one global generator, and a draw from it depends on all draws before: by other runs, by a metric, by the
steps before an interruption. So every operation that draws is carried out with the generator set to a state of its own,
and the generator is restored. In a recording it is one node, whose inputs are the seed and the step: a run draws the
same numbers alone, in any stack, after a resume, and with any metrics.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from descend.graph.compat import LightDispatchMode, OpOverload, arguments, pytree, returns_new, writes, written
from descend.graph.recorder import OneCall, as_one_node
from descend.graph.trace import tensors

BITS = 2**64 - 1

UPDATE = 1 << 20
"""The part of a step in which the optimizer and the aggregator draw; a batch never has so many parts."""

LOOK = UPDATE + 1
"""The part in which metrics and test metrics of the user's own draw, so that a look changes nothing of the step."""

_DIRECT: list[None] = []
"""One entry for each `direct_draws` block that is open."""


class Chance(LightDispatchMode):
    """Gives each operation that draws within its `with` block a state of the generator of its own.

    Args:
        seed: the run's seed; an int, or int64 [] where it is recorded.
        step: the run's step, likewise.
        part: the part of the batch, where it is evaluated part by part; each part draws numbers of its own.

    Every block begins with the first draw again: two evaluations at one step draw the same, so evaluate one function.
    """

    def __init__(self, seed: int | Tensor, step: int | Tensor, part: int = 0) -> None:
        super().__init__()
        self._seed, self._step, self._draws = seed, step, 0
        self._first = part << 32

    def __enter__(self) -> Any:
        self._draws = self._first
        return super().__enter__()

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if _DIRECT or not draws(func, args, kwargs):
            return func(*args, **kwargs)
        if kwargs.get("generator") is not None:
            return func(*args, **kwargs)  # the caller has a generator of its own
        self._draws += 1
        draw = Draw(func, args, kwargs, self._draws)
        found = as_one_node(draw, self._seed, self._step, *tensors((args, kwargs)))
        if not writes(func):
            return found
        targets = draw.targets(args, kwargs)
        for target, new in zip(targets, found, strict=False):
            target.copy_(new)  # recorded as it is: a view's memory is others', too
        return found[-1] if returns_new(func) else targets[0]


class Draw(OneCall):
    """One operation that draws, as a function of a run's seed, its step, and the operation's tensors.

    One that writes into its arguments returns a list: what it would write into each, and behind them what it returns
    beside.

    Args:
        op: the operation.
        args, kwargs: the arguments of the call.
        number: the number of the draw within an evaluation.
    """

    def __init__(self, op: OpOverload, args: tuple, kwargs: dict[str, Any], number: int) -> None:
        self._op, self._number = op, number
        self.__name__ = f"draw{number}_{op}"
        self.described = f"draws random numbers ({op}) from a generator that is seeded in Python"
        leaves, self._spec = pytree.tree_flatten((args, kwargs))
        self._leaves = [None if isinstance(x, Tensor) else x for x in leaves]
        self._places = [i for i, x in enumerate(leaves) if isinstance(x, Tensor)]
        given = arguments(op, args, kwargs)
        into = {id(given[name]) for name in written(op)}
        self._written = [i for i in self._places if id(leaves[i]) in into]

    def targets(self, args: tuple, kwargs: dict[str, Any]) -> list[Tensor]:
        """Return the tensors that the call writes into."""
        leaves = pytree.tree_leaves((args, kwargs))
        return [leaves[i] for i in self._written]

    def __call__(self, seed: int | Tensor, step: int | Tensor, *given: Tensor) -> Any:
        leaves = list(self._leaves)
        for i, x in zip(self._places, given, strict=True):
            leaves[i] = x.clone(memory_format=torch.contiguous_format) if i in self._written else x
        args, kwargs = pytree.tree_unflatten(leaves, self._spec)
        devices = [x.device.index for x in given if x.device.type == "cuda"]
        with set_to(mixed(int(seed), int(step), self._number), devices[:1]):
            found = self._op(*args, **kwargs)
        if not writes(self._op):
            return found
        new = [leaves[i] for i in self._written]
        return [*new, found] if returns_new(self._op) else new


def draws(op: Any, args: tuple, kwargs: Mapping[str, Any]) -> bool:
    """Tell whether a call draws random numbers; an operation that may drop entries draws none where it drops none."""
    if torch.Tag.nondeterministic_seeded not in getattr(op, "tags", ()):
        return False
    given = arguments(op, args, kwargs)
    chances = [given[name] for name in ("dropout_p", "dropout") if name in given]
    return not chances or any(chances)


@contextmanager
def direct_draws() -> Iterator[None]:
    """Let code that seeds the global generators by itself draw from them, even within a `Chance`."""
    _DIRECT.append(None)
    try:
        yield
    finally:
        _DIRECT.pop()


@contextmanager
def set_to(state: int, devices: list[int]) -> Iterator[None]:
    """Set the global generators to a state that this number decides, and restore them afterwards."""
    with direct_draws(), torch.random.fork_rng(devices):
        torch.default_generator.manual_seed(state)
        for device in devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(state)
        yield


def mixed(*parts: int) -> int:
    """Return 63 bits that depend on every bit of the parts.

    Steele, Lea & Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014), figure 17: SplitMix64's mixing.
    """
    state = 0
    for part in parts:
        state = (state + 0x9E3779B97F4A7C15 + part) & BITS
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & BITS
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & BITS
        state ^= state >> 31
    return state >> 1
