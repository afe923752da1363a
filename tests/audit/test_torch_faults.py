"""The list of what torch has wrong, as `descend audit --torch` prints it, and functions named without a class."""

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from descend import cli
from descend.audit import torch_faults
from descend.audit.known_faults import KNOWN_FAULTS, KnownFault
from descend.audit.torch_faults import conventions
from descend.menu.commands import audit as command

LATER = ("#92075", "#76185", "#104040", "#192985", "#192521", "#196702", "#196703", "#196705")
SOUGHT = ("#192540", "#193279", "#196682", "#196694", "#196695", "#196696", "#196698", "#196699", "#196700", "#196701")

Audit = Callable[..., tuple[int, str, str]]
"""Arguments -> code, output, errors."""


@pytest.fixture
def audit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Run `descend audit <arguments>` in an empty folder, without generating code; return code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(command, "BACKEND", "eager")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["descend", "audit", *arguments])
        with pytest.raises(SystemExit) as exit:
            cli.main()
        captured = capsys.readouterr()
        return int(exit.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def two_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """One fault that shows and one that does not: all of them take half a minute."""
    there = next(fault for fault in KNOWN_FAULTS if fault.source == "pytorch#196682" and fault.order == 1)
    never = KnownFault("nothing is wrong here", "", 1, ("nested autograd.grad",), {"sin": lambda s: s.sin().sum()})
    for module in (command, torch_faults):
        monkeypatch.setattr(module, "KNOWN_FAULTS", (there, never))


@pytest.mark.parametrize("issue", [*SOUGHT, "#196697", "#196707", "#197867", "#198017", "#175754", "#186256", *LATER])
def test_an_issue_of_pytorchs_tracker_is_in_the_list(issue: str) -> None:
    assert any(issue in fault.source for fault in KNOWN_FAULTS)


@pytest.mark.usefixtures("two_faults")
def test_the_list_is_printed(audit: Audit) -> None:
    code, out, err = audit("--torch")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == (
        "still there, shown by cholesky_inverse: torch: the first derivative of cholesky_inverse is wrong by forward "
        "mode (pytorch#196682)."
    )
    assert lines[1] == "MENDED by torch, shown by sin: torch: nothing is wrong here."
    assert lines[-1] == f"torch {torch.__version__}: 1 of 2 known faults are there."


@pytest.mark.usefixtures("two_faults")
def test_the_list_is_json(audit: Audit) -> None:
    code, out, err = audit("--torch", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert told["torch"] == torch.__version__
    assert [fault["there"] for fault in told["faults"]] == [True, False]
    assert told["faults"][0]["routes"]["nested func.jvp"]["verdict"] == "wrong"
    assert told["faults"][1]["routes"]["nested autograd.grad"]["verdict"] == "right"
    assert told["conventions"]["relu at 0"] == 0


def test_an_error_that_is_no_number_is_null() -> None:
    row = next(each for each in KNOWN_FAULTS if each.examples.keys() == {"sinc"}).reproduce("sinc")[0]
    assert row.error == math.inf
    assert torch_faults.each_as_json(row)["error"] is None


def test_torchs_choices_where_there_is_no_derivative() -> None:
    """Clamp's at its bounds changes in 2.14 (pytorch#195931): then this line is to follow."""
    chosen = conventions()
    assert (chosen["relu at 0"], chosen["abs at 0"], chosen["clamp to [-1, 1] at 1"]) == (0, 0, 1)


OWN = """
import torch

class Sin(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * gradient * ctx.saved_tensors[0].cos()

def right(x, y, scale=2.0):
    return scale * torch.outer(x, y).sin()

def wrong(x):
    return Sin.apply(x).sum()

def nothing():
    return torch.ones(())

def float_of(x):
    return float(x.sum())

number = 3
"""


def test_a_function_needs_no_class(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "own_functions.py").write_text(OWN)
    code, out, _ = audit("own_functions:right", "--order", "1")
    assert code == 0
    assert out.splitlines()[-1].startswith("Every derivative that descend itself takes is right")
    code, out, _ = audit("own_functions:wrong", "--at", "0.3,-0.7", "--order", "1", "--json")
    assert code == 1
    told = json.loads(out)
    assert told["audited"] == "own_functions:wrong"
    assert {row["verdict"] for row in told["rows"] if row["route"] == "descend.derivatives.gradient"} == {"wrong"}
    assert told["conclusion"].startswith("Wrong, and taken by descend itself")


WRONG = {
    "no module": (["nowhere:f"], "nowhere:f cannot be audited: ModuleNotFoundError"),
    "no function": (["own_wrong:f"], "own_wrong has no f. Name a function of that module."),
    "a number": (["own_wrong:number"], "own_wrong:number is int, and only what can be called has a derivative."),
    "no argument": (["own_wrong:nothing"], "takes no argument that has to be given"),
    "no tensor": (["own_wrong:float_of"], "The function returned float, and a derivative needs a tensor."),
    "at, in words": (["own_wrong:wrong", "--at", "here"], "--at is 'here', but needs finite numbers"),
    "at, infinite": (["own_wrong:wrong", "--at", "1,inf"], "--at is '1,inf', but needs finite numbers"),
    "at, of an op": (["op=gelu", "--at", "1"], "--at says where a function is audited"),
    "torch and one": (["op=gelu", "--torch"], "remove op=gelu or --torch"),
    "all as JSON": (["--all", "--json"], "--json is for one function, or with --torch"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_told_in_a_sentence(audit: Audit, tmp_path: Path, case: str) -> None:
    (tmp_path / "own_wrong.py").write_text(OWN)
    arguments, sentence = WRONG[case]
    code, out, err = audit(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("descend: ")
    assert len(err.splitlines()) == 1
    assert sentence in err
