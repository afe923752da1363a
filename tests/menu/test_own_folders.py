"""Configurations in a user's own folders: alone, in a sweep, by every way of naming the folder."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from conftest import Command

PLAIN = """# @package _global_
defaults:
  - override /objective: rosenbrock
  - override /metrics: none
  - override /derivatives: none
  - override /optimizer: mine
steps: 7
"""
OPTIMIZER = "_target_: descend.optimizers.adam.Adam\nlr: 0.25\nbetas: [0.9, 0.99]\n"


@pytest.fixture
def mine(here: Path) -> Path:
    """A folder of the user's own with an experiment and an optimizer."""
    for name, text in {"experiment/plain": PLAIN, "optimizer/mine": OPTIMIZER}.items():
        path = here / "mine" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return here / "mine"


WAYS = [["--config-dir", "mine"], ["hydra.searchpath=[mine]"]]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_sweep_finds_what_a_run_finds(way: list[str], descend: Command, mine: Path, here: Path) -> None:
    alone = descend(*way, "experiment=plain", "seed=1")
    assert alone.code == 0, alone.err
    done = descend(*way, "-m", "experiment=plain", "seed=1,2", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    table = pl.read_parquet(here / "sweep" / "sweep.parquet")
    assert table["steps"].to_list() == [7, 7]
    assert table["value"][0] == pytest.approx(json.loads((alone.folder / "result.json").read_text())["value"], rel=1e-9)
    [kept] = (here / "sweep").glob("00000-*")
    assert yaml.safe_load((kept / ".hydra" / "config.yaml").read_text())["optimizer"]["lr"] == 0.25


def test_a_glob_finds_the_users_choices_too(descend: Command, mine: Path, here: Path) -> None:
    done = descend("--config-dir", "mine", "-m", "experiment=plain", "optimizer=glob(m*e)", "hydra.sweep.dir=sweep")
    assert done.code == 0, done.err
    assert pl.read_parquet(here / "sweep" / "sweep.parquet")["optimizer"].to_list() == ["mine"]


def test_parts_of_a_sweep_find_them_in_their_own_processes(descend: Command, mine: Path, here: Path) -> None:
    away = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "sweep.parts=2", "hydra.sweep.dir=sweep"]
    done = descend("--config-dir", "mine", "-m", "experiment=plain", "seed=1,2", "threads=1", *away)
    assert done.code == 0, done.err
    assert pl.read_parquet(here / "sweep" / "sweep.parquet")["steps"].to_list() == [7, 7]


def test_a_primary_configuration_of_ones_own(descend: Command, mine: Path) -> None:
    (mine / "small.yaml").write_text("defaults: [config, _self_]\nsteps: 3\n")
    done = descend("--config-dir", "mine", "--config-name", "small", "objective=rosenbrock")
    assert "all 3 steps" in done.out, done.err
    done = descend("--config-dir", "mine", "--config-name", "small", "-m", "objective=rosenbrock", "seed=1,2")
    assert "2 finished" in done.out, done.err


def test_an_experiment_may_name_its_launcher(descend: Command, mine: Path, here: Path) -> None:
    """The menu's own launcher stands where no other is named, and no longer wins without a word."""
    launched = "  - override /hydra/launcher: joblib\nsteps: 7\nsweep: {parts: 2}\nhydra:\n  launcher: {n_jobs: 2}\n"
    (mine / "experiment" / "away.yaml").write_text(PLAIN.replace("steps: 7\n", launched))
    arguments = ["--config-dir", "mine", "-m", "experiment=away", "seed=1,2", "threads=1", "hydra.sweep.dir=sweep"]
    done = descend(*arguments)
    assert done.code == 0, done.err
    config = yaml.safe_load((here / "sweep" / "multirun.yaml").read_text())
    assert config["hydra"]["launcher"]["_target_"].endswith("JoblibLauncher")
    assert config["hydra"]["launcher"]["n_jobs"] == 2
    assert sorted(path.name for path in (here / "sweep" / "parts").iterdir()) == ["0", "1"]
    done = descend(*arguments[:-1], "hydra/launcher=batched", "sweep.parts=null", "hydra.sweep.dir=here")
    assert done.code == 2, "n_jobs is a field of another launcher"
    assert "n_jobs does not exist" in done.err


@pytest.mark.parametrize("sweep", [[], ["-m"]], ids=["alone", "sweep"])
@pytest.mark.parametrize(
    ("file", "content", "arguments", "said"),
    [
        ("config.yaml", "steps: 3", ["--config-name", "config"], "mine/config.yaml has the name of a file of the menu"),
        ("optimizer/adam.yaml", "lr: 3", [], "optimizer/adam.yaml has the name of a file of the menu"),
        ("experiment/e.yaml", "steps: 3\nsteps: 4\n", ["experiment=e"], "e.yaml, line 2: found duplicate key steps"),
        ("experiment/e.yaml", "steps: [3\n", ["experiment=e"], "e.yaml, line 2: expected"),
        ("experiment/e.yaml", "- 3\n", ["experiment=e"], "experiment/e"),
        ("experiment/e.yaml", "# @package _global_\nstpes: 3\n", ["experiment=e"], "Did you mean 'steps'"),
        ("experiment/e.yaml", "# @package _global_\nsteps: {a: 1}\n", ["experiment=e"], "steps"),
        (
            "a.yaml",
            "steps: 3",
            ["--config-name", "nothere"],
            "configuration nothere does not exist: --config-name",
        ),
        ("a.yaml", "steps: 3", ["experiment=plan"], "Did you mean 'plain'"),
        ("a.yaml", "steps: 3", ["hydra.searchpath=[nowhere]"], "nowhere, but there is no such folder"),
    ],
)
def test_wrong_files_are_told_of(
    sweep: list[str], file: str, content: str, arguments: list[str], said: str, descend: Command, mine: Path, here: Path
) -> None:
    (mine / file).write_text(content)
    before = sorted(here.rglob("*"))
    done = descend(*sweep, "--config-dir", "mine", *arguments)
    assert done.code == 2, done.err
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert sorted(here.rglob("*")) == before


def test_a_copy_of_a_file_of_the_menu_hides_nothing(descend: Command, mine: Path) -> None:
    from descend.menu import FOLDER

    (mine / "optimizer" / "adam.yaml").write_bytes((FOLDER / "optimizer" / "adam.yaml").read_bytes())
    assert descend("--config-dir", "mine", "experiment=plain").code == 0


@pytest.mark.parametrize("flag", ["--config-dir", "--config-path"])
def test_a_folder_that_is_not_there(flag: str, descend: Command, here: Path) -> None:
    done = descend(flag, "nowhere", "-m", "seed=1,2")
    assert done.code == 2
    assert f"{flag} is nowhere, but there is no such folder" in done.err
