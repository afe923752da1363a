"""Overrides that have no effect where they stand, or two: refused, never silently dropped."""

from pathlib import Path

import pytest
from conftest import Command, Done

BASE = ["objective=sphere", "metrics=none", "derivatives=none", "steps=2"]

ALONE = {
    "sweep.dry_run=true": r"sweep.dry_run=true is for a sweep, but this is one run; add -m",
    "sweep=sobol": "sweep=sobol is for a sweep",
    "hydra.sweep.dir=there": "hydra.sweep.dir=there is for a sweep",
    "hydra/launcher=joblib": "hydra/launcher=joblib is for a sweep",
    "optimizer.lr=0.1,0.2": "add --multirun",
    "objective=[sphere,beale]": "gives the group objective a list",
}
SWEPT = {
    "sweep.keep=none,all": "sweep.keep=none,all would sweep over how the sweep itself is made",
    "sweep=grid,sobol": "sweep=grid,sobol would sweep over how the sweep itself is made",
    "hydra.sweep.dir=a,b": "hydra.sweep.dir=a,b would sweep over how the sweep itself is made",
    "hydra.run.dir=there": "hydra.run.dir=there is for one run, but this is a sweep; set hydra.sweep.dir",
    "seed=2,3": "seed is given twice, by seed=0,1 and by seed=2,3",
    "seed=5": "seed is given twice",
    "++seed=2,3": "seed is given twice",
    "sweep.parts=2": "sweep.parts is 2, but the launcher runs the sweep in this process",
    "sweep.points=3": "sweep.points says how points are taken from intervals, but none is swept",
    "sweep.sampling.seed=3": "sweep.sampling.seed does not exist",
    "sweep=random": "sweep says how points are taken from intervals, but none is swept",
    "seed=range(0,100000000)": "seed is given twice",
    "optimizer.lr=range(1,100000000)": "The sweep has more than 1,000,000; add sweep.yes=true",
    "sweep.memory=${oc.env:NOT_SET}": "NOT_SET",
    "sweep.foo=1": "sweep.foo does not exist",
    "~sweep": "sweep",
    "optimizer.lr=1e400,1": "optimizer.lr is inf, but it must be a finite number",
}


def refused(done: Done, said: str, here: Path) -> None:
    assert done.code == 2, done.err
    assert said in done.err
    assert len(done.err.splitlines()) == 1, done.err
    assert not list(here.iterdir())


@pytest.mark.parametrize("override", ALONE)
def test_in_one_run(override: str, descend: Command, here: Path) -> None:
    refused(descend(*BASE, override), ALONE[override], here)


@pytest.mark.parametrize("override", SWEPT)
def test_in_a_sweep(override: str, descend: Command, here: Path) -> None:
    refused(descend("-m", *BASE, "seed=0,1", override), SWEPT[override], here)


def test_from_python_too() -> None:
    import descend
    from descend.errors import ConfigurationError

    for wrong, said in {"sweep.dry_run=true": "is for a sweep", "optimizer.lr=0.1 0.2,": "cannot be read"}.items():
        with pytest.raises(ConfigurationError, match=said):
            descend.run([*BASE, wrong])

    for wrong, said in {
        "seed=2,3": "twice",
        "sweep.keep=none,all": "would sweep",
        "optimizer.lr=0.1 0.2,": "read",
    }.items():
        with pytest.raises(ConfigurationError, match=said):
            descend.sweep([*BASE, "seed=0,1", wrong])


def test_an_experiments_list_gives_way_to_the_command_lines(descend: Command, here: Path) -> None:
    """It is no second list on the command line: that is how an experiment is varied."""
    few = ["objective=beale", "optimizer=adam", "optimizer.lr=0.1", "seed=0,1", "steps=2"]
    done = descend("-m", "experiment=first_order", *few, "hydra.sweep.dir=sweep", "sweep.keep=none")
    assert "2 runs" in done.out, done.err


def test_a_field_that_the_default_has_not_is_set_in_every_swept_choice(descend: Command, here: Path) -> None:
    done = descend("-m", *BASE, "optimizer=sgd,rmsprop", "optimizer.momentum=0.5", "sweep.dry_run=true")
    assert done.code == 0, done.err
    done = descend("-m", *BASE, "optimizer=sgd,lion", "optimizer.momentum=0.5")
    refused(done, "optimizer.momentum does not exist: optimizer has the fields betas, lr", here)
    assert "in the run objective=sphere" in done.err


def test_a_file_of_ones_own_may_say_that_it_is_a_sweep(descend: Command, here: Path) -> None:
    (here / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\nhydra: {mode: MULTIRUN, sweeper: {params: {seed: '1,2'}}}\n"
    (here / "mine" / "experiment" / "both.yaml").write_text(text)
    done = descend("--config-dir", "mine", *BASE, "experiment=both")
    assert "2 runs: 2 finished" in done.out, done.err
