"""Two tasks on one network: which class an example has, and whether its number is odd."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from descend.objectives.classification import Classification
from descend.types import Batch, Composed, Losses


@dataclass(frozen=True)
class TwoTasks(Classification):
    """Two heads on one trunk over classes 0, 1, …: cross-entropy of the class, and of its parity.

    The network's last layer is both heads: one output for each class, then the log-odds that the class is odd. The
    parity's loss is −(1/n) Σᵢ log σ(±outputᵢ), + for odd classes, in nats.
    """

    def outputs(self) -> int:
        return super().outputs() + 1

    def data_losses(self, outputs: Tensor, targets: Tensor) -> Losses:
        classes, parity = self._heads(outputs)
        return {
            "digit": functional.cross_entropy(classes, targets),
            "parity": functional.softplus(torch.where(targets % 2 == 1, -parity, parity)).mean(),
        }

    def composed(self, weights: Tensor, batch: Batch, training: bool = False) -> Composed:
        return replace(super().composed(weights, batch, training), drawn=None)  # no labels for two losses

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        classes, parity = self._heads(outputs)
        right = torch.stack([classes.argmax(dim=1) == targets, (parity > 0) == (targets % 2 == 1)])
        digit, parity = right.to(outputs.dtype).mean(dim=1).unbind()
        tested = {f"test_{name}": loss for name, loss in self.data_losses(outputs, targets).items()}
        return {"digit_accuracy": digit, "parity_accuracy": parity, **tested}

    def _heads(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs of the classes, [n, classes], and the log-odds of an odd one, [n]."""
        classes, parity = outputs.split([super().outputs(), 1], dim=1)
        return classes, parity.squeeze(1)
