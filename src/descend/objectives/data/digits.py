"""Small pictures of handwritten digits."""

from dataclasses import dataclass

import torch

from descend.objectives.data.dataset import Examples
from descend.objectives.data.shuffled import Shuffled


@dataclass(frozen=True)
class Digits(Shuffled):
    """1,797 handwritten digits of 8 × 8 pixels, 10 classes.

    Alpaydin & Kaynak, "Optical recognition of handwritten digits" (UCI, 1998), as shipped by scikit-learn.
    """

    def load(self) -> Examples:
        from sklearn.datasets import load_digits

        pixels, digits = load_digits(return_X_y=True)
        images = torch.tensor(pixels, dtype=torch.float64, device="cpu").reshape(-1, 1, 8, 8)
        return Examples(images, torch.tensor(digits, dtype=torch.int64, device="cpu"))
