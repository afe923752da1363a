"""Classification of examples."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from descend.errors import ConfigurationError
from descend.objectives.labels import drawn_classes
from descend.objectives.supervised import Supervised
from descend.types import Losses


@dataclass(frozen=True)
class Classification(Supervised):
    """Cross-entropy of the softmax of a network's outputs: −(1/n) Σᵢ log softmax(outputsᵢ)[targetᵢ], in nats."""

    def __post_init__(self) -> None:
        if self.data.classes == 0:
            raise ConfigurationError(
                f"{self.data} has numbers for targets, but Classification needs classes: "
                "choose a data set with classes, or descend.objectives.regression.Regression."
            )
        super().__post_init__()

    def outputs(self) -> int:
        return self.classes

    def data_losses(self, outputs: Tensor, targets: Tensor) -> Losses:
        return {"cross_entropy": functional.cross_entropy(outputs, targets)}

    def draw(self, outputs: Tensor) -> Tensor:
        return drawn_classes(outputs)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        accuracy = (outputs.argmax(dim=1) == targets).to(outputs.dtype).mean()
        return {
            "accuracy": accuracy,
            "error": 1 - accuracy,
            "test_cross_entropy": functional.cross_entropy(outputs, targets),
        }
