"""`descend show`: what would run, without running it."""

import re
from pathlib import Path

import pytest
from conftest import Command
from rich.cells import cell_len

import descend as package
from descend.engine.backends.choose import Candidate, expected
from descend.engine.run import record_run
from descend.menu.build import build
from descend.menu.compose import compose
from descend.menu.origins import origins, value_origin

OWN = """
from dataclasses import dataclass
from descend.optimizers.optimizer import Optimizer

@dataclass(frozen=True)
class Mine(Optimizer):
    momentum: float = 0.5
    def init(self, params):
        return {}
    def step(self, params, gradients, state, loss):
        return params, state
"""


def rows(out: str) -> list[tuple[str, ...]]:
    """The words of each line, columns apart."""
    return [tuple(re.split(r"\s{2,}", line.strip())) for line in out.splitlines()]


def test_a_run(descend: Command, here: Path) -> None:
    done = descend("show", "objective=rosenbrock", "optimizer.lr=0.01", "steps=500")
    assert done.code == 0, done.err
    found = rows(done.out)
    assert ("objective=rosenbrock", "descend.objectives.rosenbrock.Rosenbrock") in found
    assert "f(x) = Σᵢ b (xᵢ₊₁ − xᵢ²)² + (a − xᵢ)²" in done.out
    assert ("b", "100.0", "objective/rosenbrock.yaml") in found
    assert "m ← β₁m + (1−β₁)g" in done.out
    assert ("lr", "0.01", "command line") in found
    assert ("betas", "[0.9, 0.999]", "optimizer/adam.yaml") in found
    assert ("steps", "500", "command line") in found
    assert ("seed", "0", "config.yaml") in found
    assert ("parameters", "2: x [2]") in found
    assert ("losses", "value") in found
    assert ("computed", "in float64 on cpu") in found
    assert any(row[0] == "backend" and row[1].startswith("graph: compiling would take longer") for row in found)
    assert all(cell_len(line) <= 80 for line in done.out.splitlines())
    assert not list(here.iterdir())


def test_where_values_come_from(descend: Command, here: Path) -> None:
    (here / "own.py").write_text(OWN)
    folder = here / "mine"
    (folder / "experiment").mkdir(parents=True)
    (folder / "experiment" / "short.yaml").write_text("# @package _global_\nsteps: 7\nobjective: {dim: 3}\n")
    told = ["optimizer._target_=own.Mine", "+optimizer.momentum=0.25", "stop.plateau=3", "wrap=ema"]
    done = descend("show", "--config-dir", "mine", "objective=sphere", "experiment=short", *told)
    assert done.code == 0, done.err
    found = rows(done.out)
    assert ("optimizer", "own.Mine") in found
    assert ("momentum", "0.25", "command line") in found
    assert ("lr", "0.001", "default of the class") in found
    assert ("steps", "7", "experiment/short.yaml") in found
    assert ("dim", "3", "experiment/short.yaml") in found
    assert ("random_start", "false", "objective/sphere.yaml") in found
    assert ("decay", "0.999", "wrap/ema.yaml") in found
    assert ("stop.plateau", "3", "command line") in found
    assert not [row for row in found if row[0] == "stop.seconds"]
    assert "Mine(" not in done.out  # what `dataclass` writes where a class says nothing of itself


def test_a_choice_inside_another_and_a_node_inside_a_part(descend: Command, here: Path) -> None:
    found = origins(["objective=digits_mlp", "objective.data=breast_cancer", "op=tanh"])
    assert value_origin("objective.data.split_seed", found) == "objective.data/breast_cancer.yaml"
    assert value_origin("objective.network.hidden", found) == "objective/digits_mlp.yaml"
    assert value_origin("objective.network.activation._target_", found) == "objective/digits_mlp.yaml"  # it says ${op}
    assert value_origin("nowhere", found) is None
    done = descend("show", "objective.network.hidden=[8]", "metrics=none", "derivatives=none", "steps=2epochs")
    assert ("network", "MLP", "objective/digits_mlp.yaml") in rows(done.out)
    assert ("network.hidden", "[8]", "command line") in rows(done.out)
    assert ("metrics", "none") in rows(done.out)


def test_a_sweep(descend: Command, here: Path) -> None:
    done = descend("show", "-m", "objective=booth,sphere", "optimizer.lr=0.1,0.2", "steps=5")
    assert done.code == 0, done.err
    assert "4 runs in 2 programs" in done.out
    assert "stacked" in done.out
    assert "The first of the runs: objective=booth optimizer.lr=0.1 steps=5" in done.out
    assert ("lr", "0.1", "command line") in rows(done.out)
    dry = descend("-m", "objective=booth,sphere", "optimizer.lr=0.1,0.2", "steps=5", "sweep.dry_run=true")
    assert dry.out.strip() in done.out
    assert not list(here.iterdir())


def test_a_plan_fits_eighty_columns_and_nothing_is_cut(descend: Command) -> None:
    choices = ["objective=rosenbrock,six_hump_camel", "schedule=cosine,constant", "aggregator=sum,famo"]
    numbers = ["optimizer.weight_decay=0.1,0.2", "optimizer.lr=0.1,0.2", "seed=0,1", "steps=5"]
    done = descend("-m", *choices, *numbers, "sweep.dry_run=true")
    assert done.code == 0, done.err
    assert max(map(len, done.out.splitlines())) <= 80
    words = done.out.replace(",", " ").split()
    assert {"six_hump_camel", "constant", "famo", "weight_decay", "lr", "seed", "stacked"} <= set(words)


def taken(overrides: list[str]) -> Candidate:
    beginning, recording = record_run(build(compose(overrides), overrides))
    return expected(recording, beginning.origin)


@pytest.mark.parametrize(
    ("overrides", "name"),
    [
        (["objective=rosenbrock", "steps=1000"], "kernel"),
        (["objective=rosenbrock", "steps=1000", "compile=false"], "graph"),
        (["objective=rosenbrock", "steps=30"], "graph"),
        (["objective=rosenbrock", "steps=30", "optimizer=newton_cg"], "python"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_the_backend_is_the_one_that_runs(overrides: list[str], name: str) -> None:
    quiet = [*overrides, "metrics=none", "derivatives=none"]
    found = taken(quiet)
    assert found.name == name
    assert len(found.reason.split()) >= 5
    assert package.run(quiet).provenance["backend"] == name


def test_a_step_of_a_few_numbers_that_is_more_than_arithmetic_gets_no_kernel() -> None:
    assert taken(["objective=plane", "optimizer=newton", "steps=1000"]).name == "graph"  # it takes eigenvalues


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optimizer=adm"], "Did you mean 'adam'"),
        (["optimizer.lr=-1"], "Adam.lr is -1"),
        (["seed=1,2"], "seed"),
        (["sweep.points=3"], "is for a sweep, but this is one run"),
        (["-m", "seed=1", "sweep=nothing"], "nothing"),
        (["--config-dir", "nowhere"], "--config-dir is nowhere, but there is no such folder"),
        (["--fast"], "descend show: unrecognized arguments: --fast"),
    ],
    ids=str,
)
def test_a_mistake_is_told_in_a_sentence(arguments: list[str], said: str, descend: Command, here: Path) -> None:
    done = descend("show", *arguments)
    assert done.code == 2
    assert said in done.err
    assert len(done.err.splitlines()) == 1
    assert not list(here.iterdir())


def test_help(descend: Command) -> None:
    done = descend("show", "--help")
    assert done.code == 0
    assert "descend show -m" in done.out
