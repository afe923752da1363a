"""Blocks of steps by a kernel: of a run whose step is so small that nothing is left of it but Python's calls."""

import itertools
from collections.abc import Sequence

from descend.engine.backends.kernel import Kernel
from descend.engine.backends.source import Step
from descend.engine.block import Block, Due, join, often, take
from descend.engine.compiled import lift, refill, tensors, trace, uncounted
from descend.engine.experiment import Experiment
from descend.engine.step import Carry
from descend.graph.entries import Inseparable, small
from descend.graph.recorder import inputs
from descend.types import Batch


class KernelBlocks:
    """Takes blocks like `block.take`: steps at which the same metrics are due together, by a kernel for these.

    Steps at which metrics are due that are rare, or more than arithmetic between a few numbers, are taken as ever.

    Args:
        experiment: in its place, on a CPU; its steps draw no batches.
        carry: the carry of its start.

    Raises:
        Inseparable: a step is more than arithmetic between a few numbers, or cannot be traced.
        NoCompiler: this machine has no C compiler.
    """

    def __init__(self, experiment: Experiment, carry: Carry) -> None:
        self._experiment, self._carry = experiment, lift(carry)
        found = {due: self._kernel(due) for due in often(experiment)}
        if not any(found.values()):
            raise Inseparable("at no step")
        self._kernels = found

    def _kernel(self, due: tuple[str, ...]) -> "StepKernel | None":
        """Return the kernel of a step with these metrics, or None where they are more than arithmetic."""
        try:
            return StepKernel(self._experiment, self._carry, due)
        except (Inseparable, RuntimeError):  # or they look at the value of a tensor
            return None

    def take(self, carry: Carry, batches: Sequence[Batch], metrics_due: Due) -> tuple[Carry, Block]:
        """Make one step for each batch."""
        carry, blocks = lift(carry), []
        for due, group in itertools.groupby(metrics_due):
            steps = len(list(group))
            kernel = self._kernels.get(due)
            if kernel is None:
                carry, block = take(self._experiment, carry, [None] * steps, (due,) * steps, uncounted)
            else:
                carry, block = kernel(carry, steps)
            blocks.append(block)
        return carry, join(blocks)


class StepKernel:
    """Takes steps at each of which the same metrics are due.

    Args:
        experiment, carry: as for `KernelBlocks`; the carry without Python numbers.
        due: the metrics.

    Raises:
        Inseparable, NoCompiler, RuntimeError: as for `KernelBlocks`.
    """

    def __init__(self, experiment: Experiment, carry: Carry, due: tuple[str, ...]) -> None:
        def step(carry: Carry) -> tuple[Carry, Block]:
            return take(experiment, carry, [None], (due,), uncounted)

        graph, (_, self._block) = trace(step, carry)
        if not small(graph):
            raise Inseparable("more numbers than a kernel takes")
        kept, found = len(tensors(carry)), len(tensors(self._block))
        recorded = range(kept, kept + found)
        self._kernel = Kernel(Step(graph, [True] * len(inputs(graph)), 0, recorded, [], lanes=1))

    def __call__(self, carry: Carry, steps: int) -> tuple[Carry, Block]:
        """Make `steps` steps."""
        after, rows, _, _ = self._kernel.advance(tensors(carry), steps, [True] * steps, 1, 1)
        block: Block = refill(self._block, [x.squeeze(-1) for x in rows])  # [steps, 1, …]: blocks of one step each
        seen = block.observed.get(0, {})
        return refill(carry, [x.squeeze(-1) for x in after]), Block(
            values=block.values.flatten(0, 1),
            weights=block.weights.flatten(0, 1),
            norms=None if block.norms is None else block.norms.flatten(0, 1),
            observed={i: {name: x[i] for name, x in seen.items()} for i in range(steps)} if seen else {},
            always={},
        )
