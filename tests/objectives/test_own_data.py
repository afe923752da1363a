"""Data of the user's own: arrays, tables, images, texts and what is handed over from Python."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_wine
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from torch import Tensor, nn, utils
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset

import descend
from descend.errors import ConfigurationError
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.data.arrays import Arrays
from descend.objectives.data.dataset import Split
from descend.objectives.data.images import Images
from descend.objectives.data.table import Table
from descend.objectives.data.tensors import Tensors
from descend.objectives.data.text import Text
from descend.objectives.module import Module
from descend.optimizers.sgd import SGD

WINE = load_wine()


def whole(split: Split, what: str) -> np.ndarray:
    """All inputs or targets of a split, in some order that its parts decide."""
    return torch.cat([getattr(split, f"{part}_{what}") for part in ("train", "validation", "test")]).numpy()


def sorted_rows(values: np.ndarray) -> list[tuple[float, ...]]:
    return sorted(map(tuple, values.reshape(len(values), -1).round(9).tolist()))


@pytest.fixture
def wine(here: Path) -> Path:
    np.savez("wine.npz", inputs=WINE.data, targets=WINE.target)
    return here / "wine.npz"


def test_arrays_of_one_file(wine: Path) -> None:
    split = Arrays("wine.npz", validation_fraction=0.1).split()
    assert split.classes == 3
    assert split.train_inputs.dtype == torch.float64
    assert split.train_targets.dtype == torch.int64
    raw = Arrays(str(wine), standardise=False, validation_fraction=0.1).split()
    assert sorted_rows(whole(raw, "inputs")) == sorted_rows(WINE.data)
    scaler = StandardScaler().fit(raw.train_inputs.numpy())  # of the training part alone
    for part in ("train_inputs", "validation_inputs", "test_inputs"):
        expected = scaler.transform(getattr(raw, part).numpy())
        np.testing.assert_allclose(getattr(split, part).numpy(), expected, rtol=1e-9, atol=1e-9)
    for part in ("validation", "test"):  # every class is in every part
        assert set(getattr(split, f"{part}_targets").tolist()) == {0, 1, 2}


def test_arrays_of_a_folder_are_those_of_a_file(wine: Path) -> None:
    folder = wine.parent / "arrays"
    folder.mkdir()
    np.save(folder / "x.npy", WINE.data.astype(">f4"))
    np.save(folder / "y.npy", WINE.target.astype(np.uint16))
    found, expected = (
        Arrays("arrays", "x", "y", standardise=False).split(),
        Arrays("wine.npz", standardise=False).split(),
    )
    assert torch.equal(found.train_inputs, expected.train_inputs.float().double())
    assert torch.equal(found.test_targets, expected.test_targets)


@pytest.mark.parametrize("names", ["{part}_{what}", "{what}_{part}"])
def test_arrays_that_come_in_parts_stay_in_them(names: str, here: Path) -> None:
    arrays = {}
    for part, rows in (("train", slice(0, 178, 2)), ("test", slice(1, 178, 2))):
        arrays[names.format(part=part, what="x")] = WINE.data[rows]
        arrays[names.format(part=part, what="y")] = WINE.target[rows]
    np.savez("parts.npz", **arrays)
    split = Arrays("parts.npz", inputs="x", targets="y", standardise=False).split()
    np.testing.assert_array_equal(split.train_inputs, WINE.data[::2])
    np.testing.assert_array_equal(split.test_targets, WINE.target[1::2])
    assert not len(split.validation_inputs)
    validated = Arrays("parts.npz", inputs="x", targets="y", standardise=False, validation_fraction=0.3).split()
    assert torch.equal(validated.test_inputs, split.test_inputs)
    both = torch.cat([validated.train_inputs, validated.validation_inputs]).numpy()
    assert sorted_rows(both) == sorted_rows(WINE.data[::2])


def test_types_say_what_numbers_are(here: Path) -> None:
    rng = np.random.default_rng(0)
    tokens, pixels = rng.integers(0, 50, (20, 5)), rng.integers(0, 256, (20, 1, 3, 3), dtype=np.uint8)
    np.savez("a.npz", tokens=tokens, pixels=pixels, yes=rng.random(20) > 0.5, value=rng.random(20))
    indices = Arrays("a.npz", "tokens", "yes").split()
    assert sorted_rows(whole(indices, "inputs")) == sorted_rows(tokens)
    assert (indices.train_inputs.dtype, indices.classes) == (torch.int64, 2)
    images = Arrays("a.npz", "pixels", "value").split()
    assert images.train_inputs.mean().item() == pytest.approx(0, abs=1e-12)
    assert images.train_targets.std(correction=0).item() == pytest.approx(1, rel=1e-12)
    assert images.classes == 0


def test_a_file_that_changed_is_read_again(wine: Path) -> None:
    first = Arrays("wine.npz").split()
    assert Arrays("wine.npz").split() is first
    np.savez(wine, inputs=WINE.data[:90], targets=WINE.target[:90])
    assert len(whole(Arrays("wine.npz").split(), "inputs")) == 90


ROWS = pl.DataFrame(
    {
        "rooms": [3, 2, 4, 3, 5, 2, 1, 6],
        "city": ["Oslo", "Bern", "Oslo", "Kyiv", "Bern", "Oslo", "Kyiv", "Bern"],
        "area": [71.5, 40.0, 95.25, 66.0, 120.5, 38.0, 25.0, 150.75],
        "lift": [True, False, True, True, False, False, True, True],
        "zone": [7, 9, 7, 7, 9, 9, 7, 9],
        "price": [510, 300, 640, 480, 700, 280, 199, 900],
        "kind": ["flat", "flat", "house", "flat", "house", "flat", "flat", "house"],
    }
)


def write(frame: pl.DataFrame, path: str) -> str:
    frame.write_parquet(path) if path.endswith(".parquet") else frame.write_csv(path)
    return path


@pytest.mark.parametrize("path", ["homes.csv", "homes.parquet"])
@pytest.mark.parametrize("one_hot", [True, False])
def test_a_table_is_encoded_and_scaled_as_by_scikit_learn(path: str, one_hot: bool, here: Path) -> None:
    table = Table(write(ROWS, path), "price", ["city", "zone"], one_hot=one_hot, drop=["kind"], regression=True)
    split, raw = table.split(), replace(table, standardise=False).split()
    scaler = StandardScaler().fit(raw.train_inputs.numpy())
    encoder = OneHotEncoder(sparse_output=False) if one_hot else OrdinalEncoder()
    city, zone = (encoder.fit_transform(ROWS[[name]].to_numpy()) for name in ("city", "zone"))
    rooms, area, lift = (ROWS[name].cast(pl.Float64).to_numpy()[:, None] for name in ("rooms", "area", "lift"))
    expected = np.concatenate([rooms, city, area, lift, zone], axis=1)
    assert sorted_rows(whole(raw, "inputs")) == sorted_rows(expected)
    numbers = [0, 1 + city.shape[1]]  # rooms and area: categories and truth values are as they were
    scaled = raw.test_inputs.numpy().copy()
    scaled[:, numbers] = scaler.transform(scaled)[:, numbers]
    np.testing.assert_allclose(split.test_inputs.numpy(), scaled, rtol=1e-9, atol=1e-9)
    assert split.classes == 0
    assert sorted(whole(raw, "targets").tolist()) == sorted(ROWS["price"].to_list())


@pytest.mark.parametrize(
    ("target", "categorical", "classes"), [("kind", [], 2), ("rooms", [], 6), ("lift", [], 2), ("area", ["area"], 8)]
)
def test_targets_that_are_classes(target: str, categorical: list[str], classes: int, here: Path) -> None:
    numbers = [name for name in ("rooms", "area", "lift") if name != target]
    drop = [name for name in ROWS.columns if name not in (target, *numbers)]
    table = Table(write(ROWS, "homes.csv"), target, categorical, drop=drop, test_fraction=0.4, standardise=False)
    if classes == 8:  # one example of each, so that none is left for testing
        with pytest.raises(ConfigurationError, match=r"homes.csv has 8 examples, which leaves none for the test part"):
            table.split()
        return
    split = table.split()
    expected = np.unique(ROWS[target].to_numpy(), return_inverse=True)[1]
    rows = np.column_stack([*(ROWS[name].cast(pl.Float64).to_numpy() for name in ROWS.columns if name in numbers)])
    found = np.column_stack([whole(split, "inputs"), whole(split, "targets")])
    assert sorted_rows(found) == sorted_rows(np.column_stack([rows, expected]))
    assert split.classes == classes


def test_a_separator(here: Path) -> None:
    ROWS[["area", "kind"]].write_csv("homes.csv", separator=";")
    assert Table("homes.csv", "kind", separator=";").split().classes == 2


def pictures(folder: Path, channels: int, size: tuple[int, int] = (5, 4)) -> dict[str, np.ndarray]:
    """Write random images of two classes without loss, and return their pixels by class."""
    rng = np.random.default_rng(0)
    shape = size if channels == 1 else (*size, channels)
    made = {}
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        made[name] = rng.integers(0, 256, (6, *shape), dtype=np.uint8)
        for i, pixels in enumerate(made[name]):
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    (folder / "cat" / ".hidden").write_text("no image")
    return made


@pytest.mark.parametrize("channels", [1, 3])
def test_images_are_the_pixels_that_were_written(channels: int, here: Path) -> None:
    made = pictures(here / "photos", channels)
    split = Images("photos", standardise=False).split()
    assert split.train_inputs.shape[1:] == (channels, 5, 4)
    for i, name in enumerate(("cat", "dog")):
        found = np.moveaxis(whole(split, "inputs")[whole(split, "targets") == i], 1, 3)
        assert sorted_rows(found * 255) == sorted_rows(made[name])
    scaled = Images("photos").split()
    assert scaled.train_inputs.mean().item() == pytest.approx(0, abs=1e-12)


def test_images_are_brought_to_a_size_and_to_one_number_of_channels(here: Path) -> None:
    pictures(here / "photos", 1)
    Image.new("RGBA", (30, 20), (255, 0, 0, 128)).save("photos/dog/red.png")
    Image.new("P", (3, 3)).save("photos/dog/palette.gif")
    split = Images("photos", size=8, standardise=False).split()
    assert split.train_inputs.shape[1:] == (3, 8, 8)
    red = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)[:, None, None].expand(3, 8, 8)
    assert any(np.array_equal(image, red) for image in whole(split, "inputs"))


def test_a_photo_is_turned_as_its_camera_says(here: Path) -> None:
    for name in ("a", "b"):
        Path(f"photos/{name}").mkdir(parents=True)
        for i in range(2):
            told = Image.Exif()
            told[274] = 6  # the camera was held upright: 4 × 6 pixels, to be shown as 6 × 4
            Image.new("RGB", (6, 4), (i, i, i)).save(f"photos/{name}/{i}.png", exif=told)
    assert Images("photos", test_fraction=0.5).split().train_inputs.shape[1:] == (3, 6, 4)


def test_a_text_by_characters(here: Path) -> None:
    text = "Ärger über Öl: 'naïve' — " * 20
    Path("text.txt").write_text(text, encoding="utf-8")
    split = Text("text.txt", context=16, validation_fraction=0.25).split()
    letters = sorted(set(text))  # as nanoGPT numbers them
    assert split.classes == len(letters)
    windows = len(text[:-1]) // 16
    assert (len(split.test_inputs), len(split.validation_inputs)) == (round(windows / 5), round(windows / 4))
    shown = "".join(letters[i] for i in whole(split, "inputs").flatten())
    following = "".join(letters[i] for i in whole(split, "targets").flatten())
    assert shown == text[: windows * 16]  # in its order, the last part for testing
    assert following == text[1 : windows * 16 + 1]


def test_a_text_by_bytes(here: Path) -> None:
    content = bytes(range(256)) * 2
    Path("text.bin").write_bytes(content)
    split = Text("text.bin", tokens="bytes", context=10).split()
    assert split.classes == 256
    assert bytes(whole(split, "inputs").flatten().tolist()) == content[:510]


def test_the_text_that_ships_with_python() -> None:
    import pydoc_data.topics

    split = Text().split()
    text = Path(pydoc_data.topics.__file__).read_text(encoding="utf-8")
    assert len(whole(split, "inputs")) == (len(text) - 1) // 64
    assert split.classes == len(set(text))


class Squares(utils.data.Dataset):
    def __init__(self, examples: int = 30) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return self.examples

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return torch.full((2,), float(i)), i % 3

    def noisy(self) -> "Squares":
        self.__class__ = type("Noisy", (Squares,), {"__getitem__": lambda self, i: (torch.rand(2), i % 3)})
        return self


class Raising(Squares):
    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        return torch.zeros(2), 1 // i


class Streamed(IterableDataset):
    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        yield from (Squares()[i] for i in range(30))


INPUTS = torch.arange(30.0)[:, None].expand(30, 2)
TARGETS = torch.arange(30) % 3


@pytest.mark.parametrize(
    "source",
    [
        (INPUTS, TARGETS),
        TensorDataset(INPUTS, TARGETS),
        Squares(),
        DataLoader(Squares(), batch_size=7, shuffle=True, drop_last=True, num_workers=1),
        Streamed(),
        DataLoader(Streamed(), batch_size=7),
    ],
    ids=["tensors", "TensorDataset", "Dataset", "DataLoader", "IterableDataset", "DataLoader of one"],
)
def test_what_is_handed_over_is_read_whole(source: Any) -> None:
    before = torch.get_rng_state()
    split = Tensors(source).split()
    assert torch.equal(torch.get_rng_state(), before)
    found = np.column_stack([whole(split, "inputs"), whole(split, "targets")])
    assert sorted_rows(found) == sorted_rows(np.column_stack([INPUTS, TARGETS]))
    assert (split.train_inputs.dtype, split.train_targets.dtype) == (torch.float64, torch.int64)


def test_parts_that_are_handed_over_stay_as_they_are() -> None:
    split = Tensors((INPUTS[:20], TARGETS[:20]), test=Squares(6), validation=(INPUTS[20:], TARGETS[20:])).split()
    assert torch.equal(split.train_inputs, INPUTS[:20].double())
    assert torch.equal(split.validation_targets, TARGETS[20:])
    assert torch.equal(split.test_inputs, INPUTS[:6].double())


def test_what_a_data_set_draws_belongs_to_the_seed() -> None:
    torch.manual_seed(1)
    first = Tensors(Squares().noisy()).split().train_inputs
    torch.manual_seed(2)
    assert torch.equal(Tensors(Squares().noisy()).split().train_inputs, first)
    assert not torch.equal(Tensors(Squares().noisy(), split_seed=1).split().train_inputs, first)


def test_a_network_learns_from_them_and_is_validated() -> None:
    made = Module(lambda: nn.Linear(2, 3), Tensors((INPUTS, TARGETS), validation_fraction=0.2), batch_size=None)
    metrics = descend.run(descend.Experiment(made, SGD(lr=0.001), steps=2)).metrics
    assert set(metrics) == {
        *("accuracy", "error", "test_cross_entropy"),
        *("validation_accuracy", "validation_error", "validation_cross_entropy"),
    }


def test_the_validation_part_is_evaluated_as_the_test_part_is() -> None:
    data = Tensors(
        (INPUTS[:20], TARGETS[:20]), test=(INPUTS[20:], TARGETS[20:]), validation=(INPUTS[20:], TARGETS[20:])
    )
    module = Module(lambda: nn.Linear(2, 3), data, batch_size=None)
    found = module.evaluate(module.init(torch.Generator().manual_seed(0)))
    assert found["validation_cross_entropy"] == found["test_cross_entropy"]
    assert found["validation_accuracy"] == found["accuracy"]


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no file": (lambda: Arrays("none.npz"), r"path is 'none.npz', but there is no file .*none.npz; check its name"),
    "a folder for a file": (lambda: Table(".", "x"), r"path is '\.', but a file is needed there, and it is a folder"),
    "a file for a folder": (lambda: Images("bad.txt"), r"a folder is needed there, and it is a file"),
    "no archive": (lambda: Arrays("bad.txt"), r"bad.txt is no .npz file; write one by numpy.savez\('bad.npz'"),
    "a damaged archive": (lambda: Arrays("damaged.npz"), r"damaged.npz cannot be read: \w+: "),
    "objects": (lambda: Arrays("objects.npz"), r"objects.npz cannot be read: ValueError: Object arrays"),
    "no such array": (
        lambda: Arrays("wine.npz", inputs="input"),
        r"inputs names 'input', but wine.npz has the arrays inputs, targets. Did you mean 'inputs'\?",
    ),
    "an empty folder": (lambda: Arrays("empty"), r"names 'inputs', but empty has the arrays none"),
    "inputs without targets": (lambda: Arrays("half.npz"), r"half.npz has train_inputs, but no train_targets"),
    "no part for testing": (lambda: Arrays("untested.npz"), r"needs one for training and one for testing"),
    "shapes": (
        lambda: Arrays("shapes.npz"),
        r"inputs of shape \[5, 2\] and targets of shape \[4\], .*; make them agree",
    ),
    "shapes of parts": (
        lambda: Arrays("parts.npz"),
        r"parts.npz have the shapes \[2\] \(float64\) and \[3\] \(float64\)",
    ),
    "nan": (lambda: Arrays("nan.npz"), r"2 of the 10 numbers in the inputs of nan.npz are nan or infinite.*\[1, 0\]"),
    "text": (lambda: Arrays("letters.npz"), r"inputs of letters.npz are of the type <U1, but real numbers are needed"),
    "one class": (lambda: Arrays("one.npz"), r"All 5 examples of one.npz have the target 1, so there is nothing to"),
    "negative classes": (
        lambda: Arrays("negative.npz"),
        r"but one is -1; number the classes from 0, or convert targets",
    ),
    "target": (
        lambda: Table("homes.csv", "pric"),
        r"target names 'pric', but homes.csv has the columns rooms, city, .*, kind. Did you mean 'price'\?",
    ),
    "category": (lambda: Table("homes.csv", "price", ["town"]), r"categorical names 'town', but homes.csv has the"),
    "target dropped": (lambda: Table("homes.csv", "price", drop=["price"]), r"the target of homes.csv, and is dropped"),
    "text column": (
        lambda: Table("homes.csv", "price"),
        r"city of homes.csv holds string \('Oslo', say\), but numbers are needed; put it into objective.data.categor",
    ),
    "missing": (
        lambda: Table("gaps.csv", "price"),
        r"gaps.csv has missing values: 1 in rooms, 2 in area; fill them in",
    ),
    "text to regress": (
        lambda: Table("homes.csv", "kind", ["city"], regression=True),
        r"kind of homes.csv holds string or is categorical, but regression=true needs numbers",
    ),
    "no inputs": (lambda: Table("lonely.csv", "price"), r"lonely.csv has no column but the target price"),
    "broken table": (lambda: Table("bad.parquet", "x"), r"bad.parquet cannot be read: \w+: "),
    "no folders": (lambda: Images("empty"), r"empty has no sub-folders"),
    "empty folder": (lambda: Images("gaps"), r"gaps/dog has no image"),
    "no image": (lambda: Images("mixed"), r"mixed/cat/bad.png cannot be read: UnidentifiedImageError"),
    "sizes": (
        lambda: Images("sizes"),
        r"sizes/cat/0.png has 4 × 5 and sizes/dog/big.png has 9 × 9 pixels, .* set objective.data.size",
    ),
    "deep image": (lambda: Images("deep"), r"deep/dog/deep.png has more than 8 bits a channel"),
    "short text": (
        lambda: Text("bad.txt", context=12),
        r"bad.txt has 13 characters, but 2 windows of context=12 need 25; give it a longer text",
    ),
    "no text": (lambda: Text("latin.txt"), r"latin.txt cannot be read: UnicodeDecodeError"),
    "tokens": (lambda: Text(tokens="words"), r"Text.tokens is 'words', but it must be characters or bytes"),
    "context": (lambda: Text(context=0), r"Text.context is 0, but it must be at least 1"),
    "no pair": (lambda: Tensors(TensorDataset(INPUTS)), r"An example of Tensors.train is a list, but a pair"),
    "no data": (lambda: Tensors(3), r"Tensors.train is a int, but a pair of tensors"),  # type: ignore[arg-type]
    "complex": (lambda: Tensors((INPUTS * 1j, TARGETS)), r"train inputs are of the type torch.complex64, but real"),
    "raises": (lambda: Tensors(Raising()), r"Reading Tensors.train raised ZeroDivisionError: integer division"),
    "sampler": (
        lambda: Tensors(DataLoader(Squares(), sampler=SubsetRandomSampler([0, 1, 2]))),
        r"DataLoader Tensors.train chooses its examples by a SubsetRandomSampler, .* a torch.utils.data.Subset",
    ),
    "batches": (
        lambda: Tensors(DataLoader(Squares(), batch_sampler=[[0, 1]])),
        r"DataLoader Tensors.train chooses its examples by a list",
    ),
    "empty": (lambda: Tensors(Squares(0)), r"Tensors.train has no example"),
}


@pytest.fixture
def wrong_files(here: Path, wine: Path) -> None:
    """Files that have each a mistake, or none."""
    x, y = np.arange(10.0).reshape(5, 2), np.array([0, 1, 0, 1, 1])
    Path("bad.txt").write_text("hello, world!")
    Path("bad.parquet").write_text("hello, world!")
    Path("latin.txt").write_bytes("Ärger".encode("latin-1") * 99)
    content = wine.read_bytes()
    Path("damaged.npz").write_bytes(content[:200] + b"\0" * 100 + content[300:])
    nan = x.copy()
    nan[1, 0], nan[4, 1] = np.nan, np.inf
    parts = {"train_inputs": x, "train_targets": y, "test_inputs": np.ones((3, 3)), "test_targets": y[:3]}
    for name, arrays in {
        "objects": {"inputs": np.array([{}, {}]), "targets": y},
        "half": {"train_inputs": x, "test_inputs": x},
        "untested": {"train_inputs": x, "train_targets": y, "validation_inputs": x, "validation_targets": y},
        "shapes": {"inputs": x, "targets": y[:4]},
        "parts": parts,
        "nan": {"inputs": nan, "targets": y},
        "letters": {"inputs": np.array(list("abcde")), "targets": y},
        "one": {"inputs": x, "targets": np.ones(5, dtype=int)},
        "negative": {"inputs": x, "targets": y - 1},
    }.items():
        save: Any = np.savez  # whose annotation takes every name for `allow_pickle`
        save(f"{name}.npz", **arrays)
    write(ROWS, "homes.csv")
    write(ROWS[["price"]], "lonely.csv")
    write(pl.DataFrame({"rooms": [1, None, 3], "area": [None, None, 1.5], "price": [1, 2, 3]}), "gaps.csv")
    for folder in ("empty", "gaps/cat", "gaps/dog"):
        Path(folder).mkdir(parents=True)
    Image.new("L", (4, 5)).save("gaps/cat/0.png")
    for folder in ("mixed", "sizes", "deep"):
        pictures(here / folder, 1)
    Path("mixed/cat/bad.png").write_text("no image")
    Image.new("L", (9, 9)).save("sizes/dog/big.png")
    Image.new("I;16", (4, 5)).save("deep/dog/deep.png")


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_learnt_from_is_refused(case: str, wrong_files: None) -> None:
    make, said = WRONG[case]
    with pytest.raises(ConfigurationError) as found:
        make().split()
    assert re.search(said, str(found.value)), found.value
    assert "\n" not in str(found.value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Arrays("wine.npz", split_seed=9),
        lambda: Table("homes.csv", "kind", ["city"]),
        lambda: Images("sizes", size=4),
        lambda: Text("bad.txt", context=2),
        lambda: Tensors(Squares()),
    ],
    ids=["arrays", "table", "images", "text", "tensors"],
)
def test_what_does_not_fit_into_memory_is_refused(
    make: Callable[[], Any], wrong_files: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("descend.objectives.data.dataset.free_bytes", lambda device: 100)
    with pytest.raises(ConfigurationError, match=r"needs [\d.,]+ GB of memory for its [\d,]+ numbers, but 0.00 GB are"):
        make().split()


def test_the_menu_makes_them_of_its_fields(wrong_files: None) -> None:
    fields = ["path=homes.csv", "target=price", "categorical=[city,zone,kind]", "regression=true", "one_hot=false"]
    fields += ["drop=[lift]", "separator=','", "test_fraction=0.25", "validation_fraction=0.25"]
    overrides = ["objective=diabetes_linear", "objective.data=table", *(f"objective.data.{text}" for text in fields)]
    data = build(compose(overrides), overrides).objective.data  # type: ignore[attr-defined]
    named = ("city", "zone", "kind")
    assert data == Table(
        *("homes.csv", "price", named), one_hot=False, drop=("lift",), regression=True, test_fraction=0.25,
        validation_fraction=0.25,
    )  # fmt: skip
