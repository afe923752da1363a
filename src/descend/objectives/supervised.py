"""What learning from examples shares: data, a network, minibatches and an L2 penalty."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from descend.checks import check_number
from descend.errors import ConfigurationError
from descend.objectives.data import Dataset
from descend.objectives.networks import Network
from descend.objectives.objective import Objective
from descend.scalars import cast
from descend.types import Batch, Loss, Losses, Params, Total


@dataclass(frozen=True)
class Supervised(Objective):
    """The mean loss of a network over training examples, and an L2 penalty on its weights.

    Args:
        data: the examples.
        network: maps inputs to outputs.
        batch_size: examples in a step, drawn without replacement within each epoch; an epoch's last examples, too few
            for a batch, are left out of it, so that every batch has one shape. None takes all examples at every step.
        l2: λ ≥ 0 of a second loss λ/2 Σ w² over the weights, biases and scales left out; at 0 there is no such loss.

    Attributes:
        train_inputs, train_targets, test_inputs, test_targets: the split, as `Split` has it.
    """

    dtype: ClassVar[torch.dtype] = torch.float32
    train_inputs: ClassVar[Tensor]
    train_targets: ClassVar[Tensor]
    test_inputs: ClassVar[Tensor]
    test_targets: ClassVar[Tensor]

    data: Dataset
    network: Network
    batch_size: int | None = None  # type: ignore[assignment]  # an int once made
    l2: float = 0.0

    def __post_init__(self) -> None:
        for name, tensor in vars(self.data.split()).items():
            object.__setattr__(self, name, tensor)
        examples = len(self.train_targets)
        batch_size = examples if self.batch_size is None else self.batch_size
        object.__setattr__(self, "batch_size", batch_size)
        check_number(self, "batch_size", at_least=1)
        check_number(self, "l2", at_least=0)
        if batch_size > examples:
            raise ConfigurationError(
                f"batch_size is {batch_size}, but {type(self.data).__name__} has {examples} training examples: "
                f"set batch_size to at most {examples}, or to null for all of them."
            )

    @abstractmethod
    def outputs(self) -> int:
        """Return how many numbers the network gives for each example."""

    @abstractmethod
    def data_losses(self, outputs: Tensor, targets: Tensor) -> Losses:
        """Return the named losses of outputs [n, outputs] against targets [n], each of shape []."""

    @abstractmethod
    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the test metrics by name, each of shape []."""

    def init(self, generator: torch.Generator) -> Params:
        return self.network.init(generator, self.train_inputs.shape[1:], self.outputs())

    def examples(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the inputs and targets of a batch."""
        if batch is None:
            return self.train_inputs, self.train_targets
        return self.train_inputs[batch], self.train_targets[batch]

    def losses(self, params: Params, batch: Batch) -> Losses:
        inputs, targets = self.examples(batch)
        losses = self.data_losses(self.network(params, inputs), targets)
        if isinstance(self.l2, Tensor) or self.l2 != 0:
            squares = [(w * w).sum() for w in params.values() if w.ndim > 1]
            square = torch.stack(squares).sum()
            losses["l2_penalty"] = cast(self.l2 / 2, square) * square
        return losses

    def sample(self, examples: float) -> Batch:
        whole, device = len(self.train_targets), self.train_targets.device
        if examples >= whole:
            return None
        generator = torch.Generator(device="cpu").manual_seed(0)
        return torch.randperm(whole, generator=generator, device="cpu")[: int(examples)].to(device)

    def composed(self, loss: Loss, weights: Tensor, batch: Batch) -> Total:
        inputs, targets = self.examples(batch)

        def outer(outputs: Tensor) -> Tensor:
            values = torch.stack(tuple(self.data_losses(outputs, targets).values()))
            return torch.dot(weights[: len(values)], values)

        return Total(loss, lambda params: self.network(params, inputs), outer)

    def batches(self, generator: torch.Generator) -> Iterator[Batch]:
        examples = len(self.train_targets)
        if self.batch_size == examples:
            yield from super().batches(generator)
        while True:
            order = torch.randperm(examples, generator=generator, device=generator.device)
            yield from (batch for batch in order.split(self.batch_size) if len(batch) == self.batch_size)

    def evaluate(self, params: Params) -> dict[str, Tensor]:
        with torch.no_grad():
            return self.metrics(self.network(params, self.test_inputs), self.test_targets)
