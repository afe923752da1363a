"""Regression: predicting a number."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from descend.errors import ConfigurationError
from descend.objectives.labels import drawn_numbers
from descend.objectives.supervised import Supervised
from descend.types import Losses


@dataclass(frozen=True)
class Regression(Supervised):
    """Mean squared error of a network's one output: (1/n) Σᵢ (outputᵢ − targetᵢ)².

    Targets are standardised over the training examples, so 1 is the error of predicting their mean. With a linear
    network and `l2` = λ this is ridge regression (Hoerl & Kennard 1970) of penalty α = nλ/2 on the sum of squares.
    """

    def __post_init__(self) -> None:
        if self.data.classes > 0:
            raise ConfigurationError(
                f"{self.data} has classes for targets, but Regression needs numbers: "
                "choose a data set with numbers, or descend.objectives.classification.Classification."
            )
        super().__post_init__()

    def outputs(self) -> int:
        return 1

    def data_losses(self, outputs: Tensor, targets: Tensor) -> Losses:
        return {"mean_squared_error": functional.mse_loss(outputs[:, 0], targets)}

    def draw(self, outputs: Tensor) -> Tensor:
        return drawn_numbers(outputs[:, 0])

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Return the test error in deviations of the training targets, its square, and R², the explained variance."""
        squared_error = functional.mse_loss(outputs[:, 0], targets)
        return {
            "error": squared_error.sqrt(),
            "test_mean_squared_error": squared_error,
            "r_squared": 1 - squared_error / targets.var(correction=0),
        }
