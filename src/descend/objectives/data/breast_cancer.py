"""Tumours described by measurements of their cells."""

from dataclasses import dataclass

import torch

from descend.objectives.data.dataset import Examples
from descend.objectives.data.shuffled import Shuffled


@dataclass(frozen=True)
class BreastCancer(Shuffled):
    """569 tumours by 30 measurements of their cell nuclei, 2 classes: 0 malignant, 1 benign.

    Street, Wolberg & Mangasarian, "Nuclear feature extraction for breast tumor diagnosis" (1993), as shipped by
    scikit-learn.
    """

    def load(self) -> Examples:
        from sklearn.datasets import load_breast_cancer

        measurements, diagnoses = load_breast_cancer(return_X_y=True)
        inputs = torch.tensor(measurements, dtype=torch.float64, device="cpu")
        return Examples(inputs, torch.tensor(diagnoses, dtype=torch.int64, device="cpu"))
