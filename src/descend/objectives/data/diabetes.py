"""The progression of diabetes in patients."""

from dataclasses import dataclass

import torch

from descend.objectives.data.dataset import Examples
from descend.objectives.data.shuffled import Shuffled


@dataclass(frozen=True)
class Diabetes(Shuffled):
    """442 patients by 10 measurements; the target is the disease's progression after a year, standardised too.

    Efron, Hastie, Johnstone & Tibshirani, "Least angle regression", The Annals of Statistics 32 (2004), as shipped by
    scikit-learn.
    """

    def load(self) -> Examples:
        from sklearn.datasets import load_diabetes

        measurements, progression = load_diabetes(return_X_y=True)
        inputs = torch.tensor(measurements, dtype=torch.float64, device="cpu")
        return Examples(inputs, torch.tensor(progression, dtype=torch.float64, device="cpu"))
