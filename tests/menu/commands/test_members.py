"""The menu as a table."""

import json
from pathlib import Path

import pytest

from descend.errors import ConfigurationError
from descend.menu import FOLDER
from descend.menu.commands.members import in_words, members_command, objective_row, show_members


def test_every_optimizer_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert members_command("optimizers", ["--json"]) == 0
    rows = {row.pop("name"): row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {path.stem for path in Path(FOLDER / "optimizer").glob("*.yaml")}
    # By hand: Adam keeps two moments of each parameter and SGD nothing; Newton takes the whole Hessian.
    common = {"order": 1, "stacks": True, "kernel": True, "group": True, "needs": ""}
    assert rows["adam"] == common | {
        "lr": 0.001,
        "beside the gradient": {},
        "memory": 2.0,
        "what": "Adam (Kingma & Ba 2015)",
    }
    assert rows["gradient_descent"].items() >= (common | {"memory": 0.0}).items()
    assert rows["muon"].items() >= {"needs": "matrices", "stacks": True, "kernel": False}.items()
    assert rows["muon"]["lr"].keys() == {"matrices", "rest"}
    assert rows["newton"].items() >= {"order": 2, "group": False, "kernel": False}.items()
    assert rows["levenberg_marquardt"].items() >= {"needs": "a sum of squares", "stacks": True, "group": False}.items()
    # By hand, of a layer: the momentum, two factors with their eigenvectors, and of EKFAC the moments.
    network = {"needs": "a network", "stacks": True, "kernel": False, "group": False}
    assert rows["kfac"].items() >= (network | {"order": 1, "memory": 5.1}).items()
    assert rows["ekfac"].items() >= (network | {"order": 1, "memory": 6.1}).items()
    assert rows["sophia_g"].items() >= (network | {"order": 1, "memory": 2.0}).items()
    assert rows["natural_gradient"].items() >= (network | {"order": 2, "memory": 0.0}).items()
    assert rows["newton_cg"].items() >= {"order": 2, "stacks": False}.items()
    assert rows["torch"]["stacks"] is False


def test_objectives(capsys: pytest.CaptureFixture[str]) -> None:
    found = {name: objective_row(name) for name in ("rosenbrock", "digits_mlp_small", "fonseca_fleming")}
    # By hand: 64 pixels to 16 and 16 to 10 classes, with biases.
    assert [row["parameters"] for row in found.values()] == [2, 64 * 16 + 16 + 16 * 10 + 10, 2]
    assert [row["batches"] for row in found.values()] == [False, True, False]
    assert [len(row["losses"]) for row in found.values()] == [1, 1, 2]
    assert [row["minimum"] for row in found.values()] == [0.0, None, None]
    show_members([{"name": name, **row, "what": "One sentence of what it is."} for name, row in found.items()])
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert "losses: f1, f2" in in_words({"what": "", **found["fonseca_fleming"]})


def test_another_argument_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="takes only --json, but was given optimizer=adam"):
        members_command("optimizers", ["optimizer=adam"])
