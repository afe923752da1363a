"""The equation of a user's own that the study of differential equations shows: it is short, right, and runs."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch

import descend
from descend.menu.build import build
from descend.menu.compose import compose
from descend.objectives.pinn.equation import Equation

TEXT = (Path(__file__).parents[2] / "experiments" / "pinn" / "README.md").read_text()
[CODE] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [shlex.split(line)[2:] for line in re.findall(r"^python run\.py .*$", TEXT, re.MULTILINE)]
[OWN] = [command for command in COMMANDS if "objective._target_=wave.Wave" in command]


@pytest.fixture
def equation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Equation:
    (tmp_path / "wave.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    return build(compose(OWN), OWN).objective  # type: ignore[return-value]


def test_it_is_short() -> None:
    assert len([line for line in CODE.splitlines() if line.strip()]) <= 30


def test_its_exact_solution_fulfils_it(equation: Equation) -> None:
    def u(points: torch.Tensor, *names: str) -> Any:
        leaf = points.clone().requires_grad_()
        found = []
        for name in names:
            value: Any = equation.exact(leaf)
            for letter in name.partition("_")[2]:
                value = torch.autograd.grad(value.sum(), leaf, create_graph=True)[0][:, "xt".index(letter)]
            found.append(value)
        return found if len(found) > 1 else found[0]

    stand_in: Any = u
    for left in (equation.residual(stand_in, equation.grid), *equation.conditions(stand_in).values()):
        assert left.abs().max() < 1e-10


def test_it_runs_by_the_command(equation: Equation) -> None:
    result = descend.run([*OWN[:-1], "steps=30", "+objective.points=32", "optimizer.adam_steps=25", "metrics=none"])
    assert result.status == "finished"
    assert set(result.losses) == {"res", "bc", "ic", "ic_t"}
    assert result.metrics["relative_l2"] < 1


@pytest.mark.parametrize("command", COMMANDS[:-1], ids=lambda command: command[0])
def test_the_other_commands_compose(command: list[str]) -> None:
    assert isinstance(build(compose(command), command).objective, Equation)
