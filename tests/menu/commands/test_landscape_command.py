"""`descend landscape`: what it draws of runs, what it leaves in their folders, and what it refuses in a sentence."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import descend as package
from descend.engine.snapshots import read_snapshots
from descend.objectives.module import Module
from descend.output.sinks.event_file import event_files

pytestmark = pytest.mark.long

Descend = Callable[..., Any]
KEPT = "checkpoint.snapshots=64"  # a function keeps none by itself
SMALL = ["objective=digits_mlp", "objective.network.hidden=[5]", "steps=30", "tracker=parquet", "compile=false"]


def made(descend: Descend, name: str, *overrides: str) -> Path:
    done = descend(*(overrides or SMALL), f"hydra.run.dir={name}")
    assert done.code == 0, done.err
    return Path(name)


def is_png(path: Path) -> bool:
    return path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("plane", ["pca", "hessian", "random"])
def test_a_network_s_landscape(descend: Descend, here: Path, plane: str) -> None:
    folder = made(descend, "run")
    done = descend("landscape", "run", f"plane={plane}", "points=7", "examples=200")
    assert done.code == 0, done.err
    assert "cross_entropy of 200 of 1,438 training examples, in evaluation mode" in done.out
    assert "path outside of the plane by up to" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert f"written: run/landscape-{plane}.png" in done.out
    assert is_png(folder / f"landscape-{plane}.png")
    numbers = np.load(folder / f"landscape-{plane}.npz")
    assert numbers["heights"].shape == (7, 7)
    assert numbers["steps/0"].tolist() == list(range(31))
    objective, params = package.load("run").objective, package.load("run")
    expected = sum(objective.losses(dict(params), objective.sample(200)).values())
    assert float(numbers["end"]) == pytest.approx(float(expected), rel=1e-6)
    at_end = numbers["outside/0"][-1]
    assert at_end > 1e-3 if plane == "pca" else at_end < 1e-12


def test_tensorboard_shows_it_beside_the_run(descend: Descend, here: Path) -> None:
    folder = made(descend, "run", *SMALL, "tracker=all")
    for plane in ("pca", "random"):
        assert descend("landscape", "run", f"plane={plane}", "points=3", "examples=50").code == 0
    found = EventAccumulator(str(folder)).Reload()
    assert sorted(found.Tags()["images"]) == ["landscape/pca", "landscape/random"]
    [event] = found.Images("landscape/pca")
    assert event.step == 30
    assert event.encoded_image_string == (folder / "landscape-pca.png").read_bytes()
    assert found.Scalars("value")[-1].step == 30  # what the run told before is still there

    assert descend("landscape", "run", "plane=pca", "points=4", "examples=50").code == 0
    [event] = EventAccumulator(str(folder)).Reload().Images("landscape/pca")
    assert event.encoded_image_string == (folder / "landscape-pca.png").read_bytes()
    assert len(event_files(folder)) == 3


def test_a_run_that_tensorboard_does_not_show_gets_no_event_file(descend: Descend, here: Path) -> None:
    folder = made(descend, "run")
    assert descend("landscape", "run", "points=3", "examples=50").code == 0
    assert event_files(folder) == []


def test_all_examples_give_the_run_s_own_loss(descend: Descend, here: Path) -> None:
    folder = made(descend, "run")
    found = package.landscape("run", plane="random", points=2, examples=10**6)
    value = pl.read_parquet(folder / "records.parquet").filter(name="value", step=30)["value"][0]
    assert found.end == pytest.approx(value, rel=1e-6)
    assert found.loss == "cross_entropy of 1,438 of 1,438 training examples, in evaluation mode"


MODULE = """\
from torch import nn


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 10))
"""


def test_a_module_of_the_user_s_is_in_its_evaluation_mode(descend: Descend, here: Path) -> None:
    (here / "nets.py").write_text(MODULE)
    made(descend, "run", "objective=module", "objective.module._target_=nets.Net", "steps=20")
    found = package.landscape("run", points=3, examples=100)
    trained = package.load("run")
    objective = trained.objective
    assert isinstance(objective, Module)
    inputs, targets = objective.examples(objective.sample(100))
    expected = torch.nn.functional.cross_entropy(trained.module(inputs), targets)
    assert found.end == pytest.approx(float(expected.detach()), rel=1e-5)
    assert "training examples, in evaluation mode" in found.loss


def test_a_function_of_several_numbers(descend: Descend, here: Path) -> None:
    made(descend, "run", "objective=rosenbrock", "objective.dim=4", "optimizer.lr=0.01", "steps=300", KEPT)
    found = package.landscape("run", points=5)
    assert found.loss == "value of Rosenbrock"
    x = read_snapshots(Path("run/snapshots.pt"))[1]["x"].numpy()
    _, _, rows = np.linalg.svd(x - x.mean(0), full_matrices=False)
    signs = np.sign(((x[0] - x.mean(0)) @ rows[:2].T) * found.tracks["run"].coordinates[0])
    for i, j in ((0, 0), (3, 1), (4, 4)):
        at = x.mean(0) + (signs * (found.across[j], found.up[i])) @ rows[:2]
        expected = ((1 - at[:-1]) ** 2 + 100 * (at[1:] - at[:-1] ** 2) ** 2).sum()
        assert found.heights[i, j] == pytest.approx(expected, rel=1e-9)


def test_several_runs_in_one_landscape(descend: Descend, here: Path) -> None:
    made(descend, "one")
    made(descend, "two", *SMALL, "optimizer=sgd", "optimizer.lr=0.5")
    done = descend("landscape", "one", "two", "points=5", "examples=50")
    assert done.code == 0, done.err
    assert "one: path outside" in done.out
    assert "two: path outside" in done.out
    both = np.load("one/landscape-pca.npz")
    points = []
    for name in ("one", "two"):
        steps, params = read_snapshots(Path(name) / "snapshots.pt")
        points.append(np.concatenate([x.reshape(len(steps), -1).numpy() for x in params.values()], axis=1))
    middle = np.concatenate(points).astype(np.float64).mean(0)
    distances = np.concatenate([np.hypot(*both[f"coordinates/{i}"].T) for i in (0, 1)])
    assert (distances <= np.linalg.norm(np.concatenate(points) - middle, axis=1) * (1 + 1e-6)).all()
    assert not Path("two/landscape-pca.npz").exists()


def test_a_run_that_a_sweep_kept(descend: Descend, here: Path) -> None:
    done = descend("-m", *SMALL, "seed=0,1", "hydra.sweep.dir=swept")
    assert done.code == 0, done.err
    done = descend("landscape", "swept/00001-seed=1", "plane=hessian", "points=3", "examples=50")
    assert done.code == 0, done.err
    assert "no path, because no snapshots were kept" in done.out
    assert is_png(Path("swept/00001-seed=1/landscape-hessian.png"))
    told = refused(descend, "swept/00001-seed=1").partition("the same bits: descend ")[2]
    assert descend(*shlex.split(told)).code == 0
    alone = Path("swept/00001-seed=1-alone")
    kept = package.load("swept/00001-seed=1")
    assert all(torch.equal(x, kept[name]) for name, x in package.load(alone).items())
    assert descend("landscape", str(alone), "points=3", "examples=50").code == 0
    assert np.load(alone / "landscape-pca.npz")["steps/0"].tolist() == list(range(31))
    assert "holds a sweep" in refused(descend, "swept")


def refused(descend: Descend, *arguments: str) -> str:
    """What is said of arguments that are refused, with 2 as exit code, in one line."""
    done = descend("landscape", *arguments)
    assert done.code == 2, (done.out, done.err)
    assert done.out == ""
    assert done.err.startswith("descend: ")
    assert done.err.count("\n") == 1, done.err
    return done.err


WRONG = {
    "points=1": "points is 1, but it must be a whole number of at least 2 and at most 1,000",
    "points=many": "points is 'many'",
    "points=5000": "at most 1,000",
    "examples=0": "examples is 0",
    "plane=xy": "plane is 'xy', but it must be one of pca, hessian, random",
    "scale=filter": "scale is given, but plane=pca",
    "planes=pca": "planes is no setting of it",
    "other": "other holds no settings of a run",
}


def test_wrong_arguments_are_refused(descend: Descend, here: Path) -> None:
    made(descend, "run")
    for argument, sentence in WRONG.items():
        assert sentence in refused(descend, "run", argument)
    assert "scale is 'big'" in refused(descend, "run", "plane=random", "scale=big")
    assert "given no folder" in refused(descend)
    assert descend("landscape", "--help").out.startswith("descend landscape FOLDER…")


def test_runs_of_different_objectives_are_refused(descend: Descend, here: Path) -> None:
    made(descend, "run")
    made(descend, "wider", *SMALL, "objective.network.hidden=[6]")
    assert "have different objectives" in refused(descend, "run", "wider")


def test_runs_that_have_no_plane_are_refused(descend: Descend, here: Path) -> None:
    made(descend, "bare", *SMALL, "checkpoint.snapshots=0")
    assert "steps=30 tracker=parquet compile=false checkpoint.snapshots=64" in refused(descend, "bare")
    made(descend, "line", "objective=sphere", "optimizer=sgd", "optimizer.lr=0.1", "steps=50", KEPT)
    assert "on a line" in refused(descend, "line")
    made(descend, "curve", "objective=parabola", "steps=10", KEPT)
    assert "two parameters" in refused(descend, "curve", "plane=random")
    (here / "line" / "snapshots.pt").write_bytes(b"torn")
    assert "cannot be read" in refused(descend, "line")


def test_snapshots_that_are_not_finite_are_left_out_and_said(descend: Descend, here: Path) -> None:
    folder = made(descend, "run")
    content = torch.load(folder / "snapshots.pt", weights_only=True)
    name = next(iter(content["params"]))
    content["params"][name][-2:] = torch.nan
    torch.save(content, folder / "snapshots.pt")
    done = descend("landscape", "run", "points=5")
    assert done.code == 0, done.err
    assert "note: 2 snapshots of run are left out because they are not finite" in done.out
    assert np.load(folder / "landscape-pca.npz")["steps/0"].tolist() == list(range(29))
    content["params"][name][:] = torch.nan
    torch.save(content, folder / "snapshots.pt")
    assert "none of the parameters that it kept are finite" in refused(descend, "run")


def test_too_little_memory_is_told(descend: Descend, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(descend, "run")

    def full(*given: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("descend.landscapes.landscape.heights", full)
    assert "does not fit into memory; take fewer examples" in refused(descend, "run")
    monkeypatch.setattr("descend.menu.kept_run.free_bytes", lambda device: 1000)
    assert "make the run again with a smaller checkpoint.snapshots" in refused(descend, "run")


def test_a_sweep_is_asked_for_no_snapshots(descend: Descend, here: Path) -> None:
    done = descend("-m", *SMALL, "seed=0,1", "checkpoint.snapshots=10")
    assert done.code == 2
    assert "runs of a sweep keep no snapshots" in done.err
    assert not done.folders
