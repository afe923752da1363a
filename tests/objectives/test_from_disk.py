"""Files that do not fit into memory are read during the run, and give what the same files in memory would give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_diabetes, load_digits, load_wine
from torch import nn

import descend
from descend.engine.experiment import Experiment
from descend.engine.run import Run
from descend.errors import ConfigurationError
from descend.objectives.data import from_disk
from descend.objectives.data.arrays import Arrays
from descend.objectives.data.dataset import Dataset
from descend.objectives.data.images import Images
from descend.objectives.data.streamed import Streamed
from descend.objectives.module import Module
from descend.optimizers.adam import Adam


class Flat(nn.Sequential):
    """A layer over the pixels of a picture."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 10))


def arrays(folder: Path, source: Any) -> None:
    folder.mkdir()
    np.save(folder / "inputs.npy", source.data)
    np.save(folder / "targets.npy", source.target)


@pytest.fixture
def wine(here: Path) -> Arrays:
    arrays(here / "wine", load_wine())
    return Arrays("wine", validation_fraction=0.1)


@pytest.fixture
def diabetes(here: Path) -> Arrays:
    arrays(here / "diabetes", load_diabetes())
    return Arrays("diabetes")


@pytest.fixture
def parts(here: Path) -> Arrays:
    """In parts; the type of the inputs is that of counts, which are indices and stay as they are."""
    digits, folder = load_digits(), here / "parts"
    folder.mkdir()
    for name, rows in {"train": slice(400), "validation": slice(400, 450), "test": slice(450, 600)}.items():
        np.save(folder / f"x_{name}.npy", digits.images[rows].astype(np.float32))
        np.save(folder / f"y_{name}.npy", digits.target[rows])
    return Arrays("parts", inputs="x", targets="y", standardise=False)


@pytest.fixture
def pictures(here: Path) -> Images:
    digits = load_digits()
    for i, (pixels, target) in enumerate(zip(digits.images[:300], digits.target[:300], strict=True)):
        (here / "pictures" / str(target)).mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype(np.uint8)).save(here / "pictures" / str(target) / f"{i}.png")
    return Images("pictures")


@pytest.fixture(params=["wine", "diabetes", "parts", "pictures"])
def data(request: pytest.FixtureRequest) -> Dataset:
    found: Dataset = request.getfixturevalue(request.param)
    return found


def on_disk(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> Streamed:
    monkeypatch.setattr(from_disk, "has_room", lambda entries: False)
    from_disk._streamed_if_too_large.cache_clear()
    found = from_disk.streamed_if_too_large(data)
    assert isinstance(found, Streamed)
    assert str(found) == str(data)
    return found


def test_data_that_fit_stay_in_memory(data: Dataset) -> None:
    assert from_disk.streamed_if_too_large(data) is data


def test_parts_and_scales_are_those_of_the_same_files_in_memory(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    right, found = data.split(), on_disk(data, monkeypatch)
    split = found.split()
    assert split.classes == right.classes
    assert len(found) == len(right.train_targets) == len(split.train_targets)
    for name, expected in vars(right).items():
        if isinstance(expected, torch.Tensor):
            torch.testing.assert_close(getattr(split, name), expected, rtol=1e-12, atol=1e-12)


def test_an_epoch_trains_as_the_same_files_in_memory(pictures: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def trained() -> Run:
        torch.manual_seed(0)
        run = Run(Experiment(Module(Flat(), pictures, batch_size=40), Adam(lr=0.01), steps=6, dtype="float64"))
        [*_] = run
        return run

    right = trained()
    on_disk(pictures, monkeypatch)
    found = trained()
    assert found.loop.experiment.objective.data is from_disk.streamed_if_too_large(pictures)  # type: ignore[attr-defined]
    for name, x in right.params.items():
        torch.testing.assert_close(found.params[name], x, rtol=1e-10, atol=1e-12)


def test_it_is_a_choice_of_the_menu_that_is_stacked(pictures: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk(pictures, monkeypatch)
    own = ["objective=module", "objective.data=images", "objective.data.path=pictures", "metrics=losses", "steps=3"]
    own += ["objective.module._target_=test_from_disk.Flat", "objective.batch_size=32", "derivatives=none"]
    alone = [descend.run([*own, f"optimizer.lr={lr}"]).value for lr in (0.001, 0.01)]
    table = descend.sweep([*own, "optimizer.lr=0.001,0.01"])
    assert table["value"].to_list() == alone


def test_an_archive_that_does_not_fit_says_how_it_is_read_bit_by_bit(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez("wine.npz", inputs=load_wine().data, targets=load_wine().target)
    monkeypatch.setattr("descend.objectives.data.dataset.free_bytes", lambda device: 100)
    with pytest.raises(ConfigurationError, match=r"0.00 GB are free; save the arrays as \.npy files in a folder"):
        Arrays("wine.npz", split_seed=4).split()
