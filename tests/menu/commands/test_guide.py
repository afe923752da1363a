"""The guide's examples: the true value of each, beside what the guide's own code gives, and what is shown of them."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

import descend
from descend import cli
from descend.menu import FOLDER
from descend.menu.compose import compose
from descend.output.table import same_digits, show_claims

pytestmark = pytest.mark.long

GUIDE = sorted(path.stem for path in (FOLDER / "experiment" / "guide").glob("*.yaml"))

# GUIDE-TABLE, column "true"; and whether the guide prints the same.
TRUE: dict[str, dict[str, tuple[float, bool | None]]] = {
    "gradients": {"derivative/x": (15.0, True)},
    "partial_derivatives": {"derivative/x": (6.0, True), "derivative/y": (4.0, True)},
    "higher_order": {
        "derivative/x": (23.0, False),
        "derivative/x,x": (16.0, False),
        "derivative/x,x,x": (6.0, None),
    },
    "custom_function": {"derivative/x": (math.cos(1) - math.sin(1), True)},
    "custom_derivative": {"derivative/x": (0.5, True), "derivative/y": (0.25, False)},
    "gradient_descent": {"parameter/x": (-0.75, False), "derivative/x": (0.0, None)},
    "optimizers": {"parameter/x": (-0.75, False)},
    "control_flow": {"derivative/x": (30.0, True), "derivative/y": (0.5, None)},
    "dynamic_control_flow": {
        "derivative/x[0]": (1.0, True),
        "derivative/x[1]": (0.0, True),
        "derivative/x[2]": (1.0, True),
        "derivative/x[3]": (1.0, None),
    },
    "detach": {"derivative/x": (4.0, True), "derivative/y": (0.0, None)},
    "multiple_backward": {"derivative/x": (16.0, False)},
}


def test_every_example_is_an_experiment() -> None:
    assert sorted(TRUE) == GUIDE


@pytest.mark.parametrize("name", TRUE)
def test_the_true_value(name: str) -> None:
    overrides = [f"experiment=guide/{name}"]
    result = descend.run(overrides)
    assert result.status == "finished"
    claims = compose(overrides).claims
    assert list(claims) == list(TRUE[name]) == list(result.values)
    for number, (true, as_printed) in TRUE[name].items():
        assert result.values[number] == pytest.approx(true, abs=1e-12)
        printed = claims[number].printed
        assert as_printed == (None if printed is None else same_digits(f"{true:.8g}", f"{printed:g}"))
        assert as_printed or claims[number].why, f"{number} differs, and nothing says why"


def leaf(*values: float) -> Tensor:
    return torch.tensor(values, requires_grad=True)


def gradient_of(x: Tensor) -> list[float]:
    assert x.grad is not None
    return x.grad.tolist()


def test_what_the_guides_own_code_gives() -> None:
    """In float32, as it stands there: the corrections are torch's word, not ours."""
    x = leaf(2.0)
    (first,) = torch.autograd.grad(x**3 + 2 * x**2 + 3 * x + 4, x, create_graph=True)
    assert first.tolist() == [23.0]
    assert torch.autograd.grad(first, x)[0].tolist() == [16.0]

    x = leaf(2.0)
    torch.log(x).backward(gradient=1 / x.detach())
    assert gradient_of(x) == [0.25]

    x = leaf(3.0)
    for _ in range(100):
        (slope,) = torch.autograd.grad(2 * x**2 + 3 * x + 1, x)
        x = (x - 0.1 * slope).detach().requires_grad_()
    assert x.tolist() == pytest.approx([-0.75], abs=1e-6)

    with pytest.raises(RuntimeError, match="floating point"):
        torch.tensor([5], requires_grad=True)
    assert sum(i**2 for i in range(5)) == 30

    x = leaf(2.0)
    (x**2).backward(retain_graph=True)
    (x**3).backward()
    assert gradient_of(x) == [16.0]


def test_the_optimizers_of_the_chapter_reach_the_same_minimum() -> None:
    for optimizer in ("name=Adam", "name=RMSprop"):
        result = descend.run(["experiment=guide/optimizers", f"optimizer.{optimizer}", "steps=300"])
        assert result.values["parameter/x"] == pytest.approx(-0.75, abs=0.06)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run `descend <arguments>` in an empty folder and return what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["descend", *arguments])
        cli.main()
        captured = capsys.readouterr()
        assert captured.err == ""
        return captured.out

    return run


def test_the_guide_runs_by_its_chapters_into_folders_of_their_own(command: Callable[..., str], tmp_path: Path) -> None:
    lines = command("guide", "seed=3").splitlines()
    chapters = [line.split()[0] for line in lines if line[:1].isdigit()]
    assert chapters == ["2.1", "2.2", "2.3", "3.1", "3.2", "4.1", "4.2", "5.1", "5.2", "6.1", "6.2"]
    assert "  derivative/x = 15, as printed there" in lines
    assert "  derivative/x = 23, where 17 is printed: y′ = 3x² + 4x + 3, which is 12 + 8 + 3" in lines
    assert "  derivative/x,x,x = 6: the text stops at the second order; y‴ = 6" in lines
    folders = [path.parent for path in tmp_path.glob("outputs/*/*/result.json")]
    assert len(folders) == len(GUIDE)
    assert all(list(folder.glob("events.out.tfevents.*")) for folder in folders)
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    assert {result["provenance"]["seed"] for result in results} == {3}
    assert {"derivative/x": 23.0, "derivative/x,x": 16.0, "derivative/x,x,x": 6.0} in [r["values"] for r in results]


def test_a_sweep_carries_the_values_of_each_run() -> None:
    watched = "+metrics.x._target_=descend.metrics.parameter_values.ParameterValues"
    few = ["derivatives=none", "metrics=none", watched, "compile=false"]
    table = descend.sweep(["experiment=guide/gradient_descent", *few, "optimizer.lr=0.05,0.1"])
    assert table["values.parameter/x"].to_list() == pytest.approx([-0.75, -0.75], abs=1e-9)


def test_a_mistake_in_a_claim_is_told() -> None:
    with pytest.raises(descend.errors.ConfigurationError, match="printd"):
        compose(["experiment=guide/gradients", "claims={derivative/x: {printd: 3}}"])


@pytest.mark.parametrize(
    ("here", "there", "expected"),
    [("23", "17", False), ("-0.30116868", "-0.3012", True), ("-0.30116868", "-0.3011", False), ("15", "15", True)],
)
def test_the_digits_that_are_printed_decide(here: str, there: str, expected: bool) -> None:
    assert same_digits(here, there) == expected
    assert not same_digits("not recorded", there)


def test_at_a_terminal_they_stand_in_a_table() -> None:
    console = Console(force_terminal=True, width=100, record=True)
    with console.capture() as captured:
        show_claims({"y": {"printed": 2.0, "why": "it [is]"}, "z": {"printed": None, "why": ""}}, {"y": 3.0}, console)
    text = captured.get()
    assert "printed there" in text
    assert "it [is]" in text
    assert "not recorded" in text


def test_a_mistake_in_the_guides_overrides_ends_it(command: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit:
        command("guide", "stpes=3")
    assert exit.value.code == 2
    assert not (tmp_path / "outputs").exists()


def test_help_does_not_run_the_guide(command: Callable[..., str]) -> None:
    assert command("guide", "--help") == command("--help")
