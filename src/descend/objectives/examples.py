"""The base of objectives that learn from examples: a split of data, minibatches, and a fixed sample."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.objectives.data.dataset import Dataset
from descend.objectives.data.from_disk import streamed_if_too_large
from descend.objectives.data.streamed import Streamed
from descend.objectives.objective import Objective
from descend.types import Batch, Params


class FromExamples(Objective):
    """An objective whose losses are means over examples; subclasses are frozen dataclasses with the fields below.

    Attributes:
        data: the examples.
        batch_size: examples in a step, drawn without replacement within each epoch. The last examples of an epoch, too
            few for a batch, are skipped, so that every batch has one shape. None takes all examples at every step.
        train_inputs, train_targets, validation_inputs, validation_targets, test_inputs, test_targets: see `Split`.
        classes: number of classes, or 0 where targets are numbers.
    """

    dtype: ClassVar[torch.dtype] = torch.float32
    train_inputs: ClassVar[Tensor]
    train_targets: ClassVar[Tensor]
    validation_inputs: ClassVar[Tensor]
    validation_targets: ClassVar[Tensor]
    test_inputs: ClassVar[Tensor]
    test_targets: ClassVar[Tensor]
    classes: ClassVar[int]
    data: Dataset

    def take_split(self) -> None:
        """Read the data and keep their split as attributes; a subclass calls this in its `__post_init__`.

        Raises:
            ConfigurationError: a batch has no example, or more than there are.
        """
        object.__setattr__(self, "data", streamed_if_too_large(self.data))
        for name, value in vars(self.data.split()).items():
            object.__setattr__(self, name, value)  # also `classes`: a step must never read the data again
        examples = self.training_examples
        if self.batch_size is None and isinstance(self.data, Streamed):
            raise ConfigurationError(
                f"batch_size is null, but the {examples:,} training examples are read during the run, batch by batch; "
                "set batch_size to the number of examples in a batch."
            )
        batch_size = examples if self.batch_size is None else self.batch_size
        object.__setattr__(self, "batch_size", batch_size)
        check_number(self, "batch_size", at_least=1)
        if batch_size > examples:
            raise ConfigurationError(
                f"batch_size is {batch_size}, but {self.data} has {examples} training examples: "
                f"set batch_size to at most {examples}, or to null for all of them."
            )

    @property
    def training_examples(self) -> int:
        """Number of training examples."""
        return len(self.data) if isinstance(self.data, Streamed) else len(self.train_targets)

    @property
    def steps_in_epoch(self) -> int:
        return self.training_examples // (self.batch_size or 1)

    @abstractmethod
    def tested(self, params: Params, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the test metrics on these examples by name, each of shape []."""

    def evaluate(self, params: Params) -> dict[str, Tensor]:
        """Return the metrics of the test part, followed by those of the validation part if there is one."""
        with torch.no_grad():
            found = self.tested(params, self.test_inputs, self.test_targets)
            if not len(self.validation_targets):
                return found
            validated = self.tested(params, self.validation_inputs, self.validation_targets)
        return found | {f"validation_{name.removeprefix('test_')}": value for name, value in validated.items()}

    def examples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of a batch."""
        if batch is None:
            return self.train_inputs, self.train_targets
        if isinstance(batch, tuple):  # read during the run
            inputs, targets = batch
            like = self.train_inputs, self.train_targets
            return inputs.to(like[0].dtype), targets.to(like[1].dtype)
        return self.train_inputs[batch], self.train_targets[batch]

    def parts(self, batch: Batch, count: int) -> Sequence[Batch]:
        if count == 1:
            return [batch]
        if self.batch_size is None or self.batch_size % count:
            raise ConfigurationError(
                f"accumulate is {count}, but a batch of {self.batch_size} examples cannot be split into {count} equal "
                "parts; choose a batch_size that is a multiple of accumulate."
            )
        if isinstance(batch, tuple):
            return list(zip(*(x.chunk(count) for x in batch), strict=True))
        every = torch.arange(len(self.train_targets), device=self.train_targets.device) if batch is None else batch
        return every.chunk(count)

    def sample(self, examples: float) -> Batch:
        whole, device = len(self.train_targets), self.train_targets.device
        if examples >= whole:
            return None
        generator = torch.Generator(device="cpu").manual_seed(0)
        return torch.randperm(whole, generator=generator, device="cpu")[: int(examples)].to(device)

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        for epoch in self.epochs(generator):
            if isinstance(epoch, tuple):
                yield from zip(*(x.unbind() for x in epoch), strict=True)
            else:
                yield from [None] if epoch is None else epoch.unbind()

    def epochs(self, generator: torch.Generator) -> Iterator[Batch]:
        if isinstance(self.data, Streamed):
            return self.data.epochs(generator, self.batch_size or 1)
        return self._orders(generator)

    def _orders(self, generator: torch.Generator) -> Iterator[Batch]:
        """Yield the indices of the examples in the batches of each epoch, int64 [batches, size]."""
        examples, size = len(self.train_targets), self.batch_size or 1
        while size == examples:
            yield None
        while True:
            order = torch.randperm(examples, generator=generator, device=generator.device)
            yield order[: examples - examples % size].view(-1, size)
