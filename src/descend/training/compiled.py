"""Blocks of steps as compiled programs.

A step is traced with `make_fx` before it is compiled: the tracing runs the real autograd, so that a custom backward is
honoured. (`torch.compile` of a function that itself takes gradients drops custom backwards without a word.)
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
import torch.utils._pytree as pytree
from torch import Tensor
from torch._ops import OpOverload
from torch.fx import GraphModule

from descend.training.block import Block, Due, take
from descend.training.experiment import Experiment
from descend.training.step import Carry
from descend.types import Batch, Loss

# Steps in one program: fewer pay Python's call too often, more compile for longer and gain little.
STEPS = 8
MOST_STEPS = 16
# A pattern of metrics is compiled once it has come up this often; rare ones stay eager.
WORTH_COMPILING = 50


def lift(carry: Carry) -> Carry:
    """Return the carry with its Python numbers as 0-d tensors, so that a trace takes them as inputs, not constants."""
    device = next(iter(carry.params.values())).device

    def lifted(leaf: Any) -> Any:
        if isinstance(leaf, bool) or not isinstance(leaf, int | float):
            return leaf
        dtype = torch.int64 if isinstance(leaf, int) else torch.float64
        return torch.tensor(leaf, dtype=dtype, device=device)

    return pytree.tree_map(lifted, carry)


def steps_together(experiment: Experiment) -> int:
    """Return how many steps make one program: a divisor of every metric's period where there is one, near `STEPS`."""
    periods = [metric.every for metric in experiment.metrics.values() if metric.every > 1]
    fitting = [k for k in range(STEPS // 2, MOST_STEPS + 1) if all(period % k == 0 for period in periods)]
    return min(fitting, key=lambda k: abs(k - STEPS), default=STEPS)


def tensors(tree: Any) -> list[Tensor]:
    """Return the tensors among a tree's leaves, in order."""
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor)]


def refill(tree: Any, found: Iterable[Tensor]) -> Any:
    """Return the tree with its tensors replaced, in order; leaves that are no tensors stay."""
    rest = iter(found)
    return pytree.tree_map(lambda leaf: next(rest) if isinstance(leaf, Tensor) else leaf, tree)


def trace(function: Callable[..., Any], *inputs: Any) -> tuple[GraphModule, Any]:
    """Return `function` as a graph of plain tensor operations on its inputs' tensors, and an example of its output.

    Raises:
        RuntimeError: the function depends on the value of a tensor in Python (`if`, `.item()`).
    """
    from torch.fx.experimental.proxy_tensor import make_fx  # half a second that eager runs need not pay

    examples: list[Any] = []

    def flat(*leaves: Tensor) -> list[Tensor]:
        examples.append(function(*refill(inputs, leaves)))
        return tensors(examples[-1])

    with torch.no_grad():
        graph = make_fx(flat)(*tensors(inputs))
        operations = [node.target for node in graph.graph.nodes if isinstance(node.target, OpOverload)]
        if any(operation._schema.is_mutable for operation in operations):
            # vmap has no rule for some operations in place, and would loop over the runs.
            graph = make_fx(torch.func.functionalize(graph, remove="mutations"))(*tensors(inputs))
    return graph, examples[-1]


class Program:
    """k steps of an experiment with one pattern of due metrics, compiled.

    Raises:
        RuntimeError: on construction, where the step cannot be traced or compiled.
    """

    def __init__(self, experiment: Experiment, carry: Carry, batches: Sequence[Batch], pattern: Due) -> None:
        from torch import _inductor

        def steps(carry: Carry, batches: Sequence[Batch]) -> tuple[Carry, Block]:
            return take(experiment, carry, batches, pattern, uncounted)

        graph, self._example = trace(steps, carry, list(batches))
        self._pattern = pattern
        with torch.no_grad():
            self._call = _inductor.compile(graph, tensors((carry, list(batches))))

    def repeat(self, carry: Carry, batches: Sequence[Batch]) -> tuple[Carry, Block]:
        """Take the program's steps again and again until the batches, a multiple of k, are used up."""
        size, leaves, drawn = len(self._pattern), tensors(carry), tensors(list(batches))
        kept, found = len(leaves), []
        each = len(drawn) * size // len(batches)
        with torch.no_grad():
            for i in range(len(batches) // size):
                outputs = self._call(*leaves, *drawn[i * each : (i + 1) * each])
                leaves = outputs[:kept]
                found.append(outputs[kept:])
            stacked = [torch.stack(column) for column in zip(*found, strict=True)]
        carry, block = refill(self._example, [*leaves, *stacked])
        return carry, spread(block, size)


def spread(block: Block, size: int) -> Block:
    """Return the block of r · k steps whose tensors were stacked with a leading axis of r programs of k steps."""
    observed = {
        r * size + i: {name: x[r] for name, x in found.items()}
        for i, found in block.observed.items()
        for r in range(len(block.values))
    }
    norms = None if block.norms is None else block.norms.flatten(0, 1)
    return Block(block.values.flatten(0, 1), block.weights.flatten(0, 1), norms, observed)


def join(blocks: Sequence[Block]) -> Block:
    """Return consecutive blocks as one."""
    observed, offset = {}, 0
    for block in blocks:
        observed |= {offset + i: found for i, found in block.observed.items()}
        offset += len(block.values)
    norms = None if blocks[0].norms is None else torch.cat([block.norms for block in blocks])
    return Block(torch.cat([b.values for b in blocks]), torch.cat([b.weights for b in blocks]), norms, observed)


def uncounted(loss: Loss) -> Loss:
    """Count nothing: a trace calls the loss once for all the steps that will follow."""
    return loss


class CompiledBlocks:
    """Takes blocks like `block.take`: by compiled programs wherever a pattern of metrics comes up often."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._size = steps_together(experiment)
        self._programs: dict[Due, Program] = {}
        self._seen: Counter[Due] = Counter()

    def take(
        self, experiment: Experiment, carry: Carry, batches: Sequence[Batch], metrics_due: Due, count: Any
    ) -> tuple[Carry, Block]:
        """Make one step for each batch; the signature is that of `block.take`."""
        carry, blocks, done = lift(carry), [], 0
        while done < len(batches):
            pattern = metrics_due[done : done + self._size]
            alike = 1
            while metrics_due[done + alike * self._size : done + (alike + 1) * self._size] == pattern:
                alike += 1
            taken = min(alike * len(pattern), len(batches) - done)
            program = self._program(pattern, carry, batches[done : done + len(pattern)], alike)
            step = program.repeat if program else self._eagerly(pattern, count)
            carry, block = step(carry, batches[done : done + taken])
            blocks.append(block)
            done += taken
        return carry, join(blocks)

    def _eagerly(self, pattern: Due, count: Any) -> Callable[[Carry, Sequence[Batch]], tuple[Carry, Block]]:
        return lambda carry, batches: take(
            self._experiment, carry, batches, pattern * (len(batches) // len(pattern)), count
        )

    def _program(self, pattern: Due, carry: Carry, batches: Sequence[Batch], times: int) -> Program | None:
        """Return the program for a pattern, compiling it when it has come up often enough."""
        self._seen[pattern] += times
        worth = len(pattern) == self._size and (not any(pattern) or self._seen[pattern] >= WORTH_COMPILING)
        if worth and pattern not in self._programs:
            self._programs[pattern] = Program(self._experiment, carry, batches, pattern)
        return self._programs.get(pattern)
