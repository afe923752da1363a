"""A network and an L2 penalty on its weights, learning from examples."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from descend.checks import check_number
from descend.objectives.data.dataset import Dataset
from descend.objectives.examples import FromExamples
from descend.objectives.labels import composed_of
from descend.objectives.networks import Network
from descend.scalars import cast
from descend.types import Batch, Composed, Losses, Params


@dataclass(frozen=True)
class Supervised(FromExamples):
    """The mean loss of a network over training examples, and an L2 penalty on its weights.

    Args:
        data: the examples.
        network: maps inputs to outputs.
        batch_size: examples in a step, drawn without replacement within each epoch. The last examples of an epoch, too
            few for a batch, are skipped, so that every batch has one shape. None takes all examples at every step.
        l2: λ ≥ 0 of a second loss λ/2 Σ w² over the weights, without biases and scales; at 0 there is no such loss.
    """

    data: Dataset
    network: Network
    batch_size: int | None = None  # type: ignore[assignment]  # an int after __post_init__
    l2: float = 0.0

    def __post_init__(self) -> None:
        self.take_split()
        check_number(self, "l2", at_least=0)

    @abstractmethod
    def outputs(self) -> int:
        """Return how many numbers the network gives for each example."""

    @abstractmethod
    def data_losses(self, outputs: Tensor, targets: Tensor) -> Losses:
        """Return the named losses of outputs [n, outputs] against targets [n], each of shape []."""

    @abstractmethod
    def draw(self, outputs: Tensor) -> Tensor:
        """Draw labels [n] from the distribution p where the loss is −log p, see `descend.objectives.labels`."""

    @abstractmethod
    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the test metrics by name, each of shape []."""

    def init(self, generator: torch.Generator) -> Params:
        return self.network.init(generator, self.train_inputs.shape[1:], self.outputs())

    def losses(self, params: Params, batch: Batch) -> Losses:
        inputs, targets = self.examples(batch)
        losses = self.data_losses(self.network(params, inputs), targets)
        if isinstance(self.l2, Tensor) or self.l2 != 0:
            squares = [(w * w).sum() for w in params.values() if w.ndim > 1]
            square = torch.stack(squares).sum()
            losses["l2_penalty"] = cast(self.l2 / 2, square) * square
        return losses

    def composed(self, weights: Tensor, batch: Batch, training: bool = False) -> Composed:
        inputs, targets = self.examples(batch)

        def loss(outputs: Tensor, labels: Tensor) -> Tensor:
            values = torch.stack(tuple(self.data_losses(outputs, labels).values()))
            return torch.dot(weights[: len(values)], values)

        return composed_of(lambda params: self.network(params, inputs), loss, targets, self.draw)

    def tested(self, params: Params, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return self.metrics(self.network(params, inputs), targets)
