"""The contract of an objective: the function that is minimised."""

import copy
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor

from descend.errors import ConfigurationError
from descend.graph.compat import pytree
from descend.kinds import usual_kinds
from descend.types import Batch, Composed, Drawing, Losses, Params, State


class Objective(ABC):
    """A family of named scalar losses over named parameters.

    An objective is a frozen dataclass written for one run. Its fields annotated `float` may hold 0-d tensors when a
    sweep stacks runs, so `losses` uses them in arithmetic only; fields of any other type are structure. Tensors it
    keeps (data, targets) are attributes made in `__post_init__`; `to` moves them.

    Attributes:
        dtype: the precision that `dtype: auto` selects; float64 for functions, float32 for nets.
        batchable: whether `losses` is made of tensor operations alone, so that many runs can be stacked.
        start_fields: the fields that decide the start and nothing else; runs that differ in them can be stacked.
    """

    dtype: ClassVar[torch.dtype] = torch.float64
    batchable: ClassVar[bool] = True
    start_fields: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def init(self, generator: torch.Generator) -> Params:
        """Return starting parameters in float64 on the generator's device; the experiment moves them.

        All randomness comes from `generator`, so that a seed gives the same start on every device and precision. What a
        class of the user's draws from the global generators of torch, NumPy or Python, here or in `batches`, becomes
        the run's own: the seed decides it, too.
        """

    def start_and_state(self, generator: torch.Generator) -> tuple[Params, State]:
        """Return the starting parameters, and the state that training carries beside them (statistics of a batch norm).

        The state is a dict of tensors by name; by default there is none.
        """
        return self.init(generator), {}

    def kinds(self, params: Params) -> dict[str, str]:
        """Return the kind of each parameter, by which groups choose; by default its name and shape decide."""
        return usual_kinds(params)

    def with_state(self, state: State) -> Self:
        """Return the objective with this state, which its other methods may read; by default there is none."""
        return self

    def training_losses(self, params: Params, batch: Batch) -> tuple[Losses, State]:
        """Return the losses of a training step, and the state after it, which is new and never written in place.

        By default these are `losses`. Random numbers that torch's global generator draws here (dropout) come from the
        run's seed and step.
        """
        return self.losses(params, batch), {}

    @abstractmethod
    def losses(self, params: Params, batch: Batch) -> Losses:
        """Return the named losses, each of shape [], at `params` on one batch; `batch=None` means the whole data.

        They must be differentiable in `params`, without side effects and without `if` on tensor values. Metrics, tests
        and the end of a run call this method.
        """

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the batch of each step, endlessly. Data objectives yield index tensors, gathered inside `losses`."""
        return itertools.repeat(None)

    def epochs(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the same batches as `batches`, an epoch at a time: tensors [batches, …]. By default an epoch has one.

        In this way thousands of runs get their batches without a call for each run and step.

        Raises:
            RuntimeError: there are no more batches.
        """
        count = 0
        for batch in self.batches(generator):
            count += 1
            yield pytree.tree_map(lambda x: x[None] if isinstance(x, Tensor) else x, batch)
        raise RuntimeError(
            f"{type(self).__name__}.batches ended after {count}, but a run takes a batch for each step; "
            "let it begin again (while True)"
        )

    def parts(self, batch: Batch, count: int) -> Sequence[Batch]:
        """Return a batch as `count` batches of equal size, whose gradients are averaged; only examples can be split.

        Raises:
            ConfigurationError: the objective has no examples, or their number cannot be divided by `count`.
        """
        if count > 1:
            raise ConfigurationError(
                f"accumulate is {count}, but {type(self).__name__} has no examples that could be split into parts; "
                "set accumulate=1."
            )
        return [batch]

    def sample(self, examples: float) -> Batch:
        """Return a batch of this many examples, the same at every call; None, the whole data, if it has no more."""
        return None

    def composed(self, weights: Tensor, batch: Batch, training: bool = False) -> Composed | None:
        """Return the weighted losses on a batch as functions of a network's outputs; None where there is no network.

        With `training` the outputs are those of `training_losses`.
        """
        return None

    def evaluate(self, params: Params) -> dict[str, Tensor]:
        """Return test metrics by name (accuracy, error…), each of shape []; none by default."""
        return {}

    def drawing(self, params: Params) -> Drawing | None:
        """Return the data of the picture at the end of a run; None where there is nothing to draw."""
        return None

    def best_points(self) -> Sequence[Sequence[float]]:
        """Return points for a picture to mark: known minimisers, or where no loss can fall without another rising."""
        return ()

    @property
    def minimum(self) -> float | None:
        """The known minimum of the sum of the losses, or None."""
        return None

    @property
    def batch_size(self) -> int:
        """Examples in a step, from which the number of threads is chosen; 1 for a function."""
        return 1

    def trained(self, params: Params, state: State) -> Params:
        """Return the tensors that a run saves by name: parameters and state; of a module, its state_dict on the CPU."""
        return {**params, **state}

    @property
    def steps_in_epoch(self) -> int | None:
        """Steps in which every example is used once; None where there are no examples."""
        return None

    def to(self, dtype: torch.dtype, device: torch.device) -> Self:
        """Return a copy whose tensors lie on `device`, the floating ones in `dtype`."""
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                target = dtype if value.is_floating_point() else value.dtype
                object.__setattr__(moved, name, value.to(device=device, dtype=target))
        return moved
