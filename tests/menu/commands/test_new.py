"""`descend new`: what it writes runs at once, keeps the promises of its family, and passes the family's contracts."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from conftest import Command
from left import assert_same, result

from descend.engine.run import Run, drive
from descend.errors import ConfigurationError
from descend.menu.commands.new import FAMILIES, class_name, texts
from descend.menu.source import Source
from descend.sweeps.batch import run_group
from descend.sweeps.group import groups
from descend.sweeps.plan import built
from descend.sweeps.space import Grid, jobs

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]

NUMBERS = {
    "objective": ("objective.steepness", "1.5,2.5", "-1.0"),
    "optimizer": ("optimizer.beta", "0.5,0.8", "1.5"),
    "op": ("op.slope", "0.5,1.5", "0.0"),
    "metric": ("optimizer.lr", "0.1,0.2", "0.0"),
    "aggregator": ("aggregator.temperature", "0.5,2.0", "0.0"),
    "schedule": ("schedule.decay", "0.1,0.2", "-1.0"),
    "pde": ("objective.speed", "0.3,0.6", "fast"),
}
"""For each family a number of its starting file, or of the optimizer beside it: two values, and a wrong one."""


def printed(told: str, what: str) -> list[str]:
    """The arguments of the command that was printed as the next step."""
    [command] = re.findall(rf"^{what}: +descend (.*)$", told, re.MULTILINE)
    return shlex.split(command)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_runs_as_printed_and_a_run_in_a_sweep_is_the_run_alone(family: str, descend: Command, here: Path) -> None:
    told = descend("new", family, "mine")
    assert told.code == 0, told.err
    command = printed(told.out, "Run it")
    done = descend(*command)
    assert done.code == 0, done.err
    assert result(done.folder)["status"] == "finished"

    source = Source(beside=(f"file://{here / 'my'}",))
    key, values, wrong = NUMBERS[family]
    quiet = ["derivatives=none", *([] if family == "metric" else ["metrics=none"])]
    few = [*command[2:-1], *quiet, "steps=10"]
    [group] = groups(jobs([*few, f"{key}={values}"], Grid()), partial(built, source=source))
    assert group.serial is None
    [chunk] = run_group(group, 1 << 33)
    for job, found in zip(chunk.jobs, chunk.results, strict=True):
        alone = drive(Run(built(job.overrides, source)), [])
        assert (found.status, found.value, found.losses) == ("finished", alone.value, alone.losses)
        assert found.provenance["backend"] == alone.provenance["backend"] == "graph"
    assert chunk.results[0].value != chunk.results[1].value
    with pytest.raises(ConfigurationError, match=key.rpartition(".")[2]):
        built([*few, f"{key}={wrong}"], source)


def test_it_goes_on_from_a_checkpoint(descend: Command, here: Path) -> None:
    command = printed(descend("new", "optimizer", "mine").out, "Run it")
    few = [*command[:-1], "metrics=none", "derivatives=none", "compile=false"]
    for name, steps in {"whole": 10, "longer": 5}.items():
        assert descend(*few, f"steps={steps}", f"hydra.run.dir={name}").code == 0
    assert descend("resume=longer", "steps=10").code == 0
    assert_same(Path("longer"), Path("whole"))


def test_what_it_records(descend: Command, here: Path) -> None:
    assert descend("new", "metric", "mine").code == 0
    done = descend("--config-dir", "my", "metrics=mine", "objective=sphere", "objective.start=[3,-4]", "steps=1")
    records = pl.read_parquet(done.folder / "records.parquet")
    largest = records.filter(pl.col("name") == "gradient/largest").sort("step")["value"]
    assert largest[0] == 8.0  # the gradient of x² + y² at (3, −4) is (6, −8)


@pytest.mark.parametrize("subject", [pytest.param("objective", marks=pytest.mark.slow), "op"])
def test_its_derivatives_are_right(subject: str, descend: Command, here: Path) -> None:
    told = descend("new", subject, "mine")
    done = descend(*printed(told.out, "Audit it"), "--order", "1")
    assert done.code == 0, done.out
    assert "Every derivative that descend itself takes is right" in done.out


KEPT = {
    *("digits_mlp", "rosenbrock", "cagrad_toy", "expression", "op_on_vector", "op_at_point"),
    *("adam", "sgd", "relu", "tanh", "sum", "default", "none"),
}
"""The choices of the menu that the contracts of a new member rest on."""


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The contracts of all families, run over a new member of each in a copy of the project with little else."""
    tree = tmp_path_factory.mktemp("tree")
    for folder in ("src", "conf", "tests"):
        shutil.copytree(ROOT / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tree)
    for group in ("objective", "optimizer", "op", "aggregator", "metrics", "experiment"):
        for path in (tree / "conf" / group).rglob("*.yaml"):
            if path.stem not in KEPT:
                path.unlink()
    (tree / "conf" / "objective" / "pinn").mkdir(exist_ok=True)
    for family, found in FAMILIES.items():
        name = f"mine_{family}"
        code, menu = texts(family, name)
        (tree / f"{name}.py").write_text(code)
        inner = "pinn" if family == "pde" else ""
        (tree / "conf" / found.group / inner / f"{name}.yaml").write_text(menu)
    files = [str(tree / "tests" / "contracts" / f"test_{name}.py") for name in CONTRACTS]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", "-vv", "-p", "no:cacheprovider", "-k", "mine", *files],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": f"{tree / 'src'}:{tree}"},
        capture_output=True,
        text=True,
        timeout=280,
    )


CONTRACTS = (
    *("objectives", "optimizers", "ops", "metrics", "aggregators", "schedules_and_clipping"),
    *("one_formula", "devices"),
)
"""Those whose members are found by their YAML; the promise of a sweep names its members, and is tested above."""


@pytest.mark.parametrize("family", FAMILIES)
def test_it_passes_the_contracts(family: str, contracts: subprocess.CompletedProcess[str]) -> None:
    name = class_name(f"mine_{family}") if family == "metric" else f"mine_{family}"
    lines = [line for line in contracts.stdout.splitlines() if "::test_" in line and name in line]
    assert contracts.returncode == 0, contracts.stdout + contracts.stderr
    assert len({line.split("::")[1].split("[")[0] for line in lines}) >= LEAST[family], lines
    assert all("PASSED" in line for line in lines), lines


LEAST = {"objective": 11, "optimizer": 12, "op": 13, "metric": 9, "aggregator": 11, "schedule": 4, "pde": 9}
"""How many of the contracts' tests, at least, are about a family."""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "was given no family"),
        (["optimiser", "mine"], "was given 'optimiser', but it needs one of objective, optimizer, op, metric"),
        (["optimizer"], "was given no name for the optimizer"),
        (["optimizer", "mine", "more"], "unrecognized arguments: more"),
        (["optimizer", "--fast"], "unrecognized arguments: --fast"),
        (["optimizer", "my-own"], "'my-own', which cannot be that of a Python file"),
        (["optimizer", "../mine"], "'../mine', which cannot be"),
        (["optimizer", "3d"], "'3d', which cannot be"),
        (["optimizer", "größe"], "'größe', which cannot be"),
        (["optimizer", "class"], "'class', which cannot be"),
        (["optimizer", "none"], "'none', which cannot be"),
        (["optimizer", "null"], "'null', which cannot be"),
        (["optimizer", "adam"], "The menu has optimizer=adam already"),
        (["op", "random"], "Python has a module random"),
        (["op", "torch"], "Python has a module torch"),
        (["metric", "here"], "here.py exists already"),
        (["metric", "there"], "there.yaml exists already"),
    ],
    ids=lambda x: " ".join(x) or "nothing" if isinstance(x, list) else "",
)
def test_a_mistake_is_refused(arguments: list[str], said: str, descend: Command, here: Path) -> None:
    (here / "here.py").write_text("mine = 1\n")
    (here / "my" / "metrics").mkdir(parents=True)
    (here / "my" / "metrics" / "there.yaml").write_text("{}\n")
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    done = descend("new", *arguments)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_a_folder_that_cannot_be_made(descend: Command, here: Path) -> None:
    (here / "my").write_text("")
    done = descend("new", "op", "mine")
    assert done.code == 2
    assert "my/op/mine.yaml cannot be written" in done.err
    assert not (here / "mine.py").exists()


def test_help(descend: Command, here: Path) -> None:
    done = descend("new", "--help")
    assert done.code == 0
    assert all(f"descend new {family} NAME" in done.out for family in FAMILIES)
    assert not list(here.iterdir())
