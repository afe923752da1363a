"""`descend audit` in this process: what it prints, its exit codes, and its sentences."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from own_op import own_op

from descend import cli
from descend.audit import torch_faults
from descend.audit.known_faults import KNOWN_FAULTS
from descend.audit.report import AuditReport
from descend.audit.verdict import Judged, Mark
from descend.menu import FOLDER, choices
from descend.menu.commands import audit as command
from descend.menu.commands.audit import conclusion, summary

pytestmark = pytest.mark.long

Audit = Callable[..., tuple[int, str, str]]


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


def test_an_op(audit: Audit) -> None:
    code, out, err = audit("op=log")
    assert (code, err) == (0, "")
    rows = {line.split("  ")[0] + line[7:48].strip(): line for line in out.splitlines() if line[:1] in "12"}
    assert "wrong" in rows["2nested func.jvp"]
    assert "pytorch#197867" in rows["2nested func.jvp"]
    assert "right" in rows["1* descend.engine: compiled graph"]
    assert "right" in rows["1* descend.engine: C kernel"]
    assert "right" in rows["2* descend.derivatives.hessian"]
    assert "Every derivative that descend itself takes is right" in out
    assert "order  route (* descend's own)" in out


def test_an_objective_to_an_order_of_choice(audit: Audit) -> None:
    code, out, _ = audit("objective=rosenbrock", "objective.dim=3", "--order", "3")
    assert code == 0
    assert "Order 3 is held to sympy; no route is off." in out
    assert "\n4 " not in out


def test_a_network_of_relus_is_not_taken_for_wrong(audit: Audit) -> None:
    """Its kinks lie all around every point, where finite differences must not claim to have settled."""
    code, out, _ = audit("objective=digits_mlp", "objective.network.hidden=[16]", "--order", "1")
    assert code == 0
    assert "descend.derivatives.gradient" in out


def test_an_objective_through_an_op_that_is_wrong_by_design(audit: Audit) -> None:
    code, out, _ = audit("objective=op_at_point", "op=gradient_reversal", "--order=1")
    assert code == 0
    assert "held to agree with nested autograd.grad" in out


def test_a_wrong_op_of_ones_own_exits_with_1(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "wrong_op.py").write_text(own_op("2 * x**2 * gradient"))
    code, out, _ = audit("op._target_=wrong_op.Own", "--order", "1")
    assert code == 1
    assert "Order 1: wrong are nested autograd.grad" in out
    assert "They are held to sympy" in out
    routes = ("derivatives.gradient", "engine: training gradient", "engine: Jacobian of the losses")
    accused = ", ".join(f"descend.{route} at order 1" for route in routes)
    assert f"Wrong, and taken by descend itself: {accused}. So is what is made of it: descend.engine: recorded" in out


BACKWARDS = {
    "shape": ("gradient.sum().repeat(2)", r"returned a gradient of the wrong shape"),
    "raises": ("gradient @ gradient.T @ torch.ones(7)", r"cannot be evaluated and differentiated once: RuntimeError"),
}


@pytest.mark.parametrize("case", BACKWARDS)
def test_an_op_that_cannot_be_differentiated_is_told_in_a_sentence(audit: Audit, tmp_path: Path, case: str) -> None:
    backward, sentence = BACKWARDS[case]
    (tmp_path / f"op_{case}.py").write_text(own_op(backward))
    code, out, err = audit(f"op._target_=op_{case}.Own")
    assert (code, out) == (2, "")
    assert err.startswith("descend: ")
    assert len(err.splitlines()) == 1
    assert sentence in err


OWN_OBJECTIVE = """
from dataclasses import dataclass
import torch
from descend.objectives.objective import Objective

@dataclass(frozen=True)
class Own(Objective):
    def init(self, generator):
        return {"x": torch.ones(2, dtype=torch.float64)}

    def losses(self, params, batch):
        return {"y": params["x"] @ torch.ones(3)}
"""


def test_an_objective_that_raises_is_told_in_a_sentence(audit: Audit, tmp_path: Path) -> None:
    (tmp_path / "own_losses.py").write_text(OWN_OBJECTIVE)
    code, out, err = audit("objective._target_=own_losses.Own")
    assert (code, out) == (2, "")
    assert err.startswith(
        "descend: objective._target_=own_losses.Own cannot be evaluated and differentiated once: Runtime"
    )
    assert len(err.splitlines()) == 1


WRONG = {
    "nothing": ([], "told nothing to audit; name an objective"),
    "order": (["op=gelu", "--order", "-1"], "An audit of order -1 was asked for, but it goes from 1 to 4"),
    "high order": (["op=gelu", "--order", "9"], "An audit of order 9 was asked for"),
    "order in words": (["op=gelu", "--order", "two"], "argument --order: invalid int value: 'two'"),
    "flag": (["op=gelu", "--al"], "unrecognized arguments: --al"),
    "all and one": (["op=gelu", "--all"], "remove op=gelu or --all"),
    "choice": (["op=gelo"], "Did you mean 'gelu'?"),
    "field": (["op=spike", "op.slop=3"], "Did you mean 'slope'?"),
    "class of another kind": (["op._target_=torch.nn.ReLU"], "only a subclass of descend.ops.op.Op"),
    "group": (["objektive=sphere"], "Did you mean 'objective'?"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_told_in_a_sentence(audit: Audit, case: str) -> None:
    arguments, sentence = WRONG[case]
    code, out, err = audit(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("descend: ")
    assert len(err.splitlines()) == 1
    assert sentence in err


def test_help(audit: Audit) -> None:
    code, out, _ = audit("--help")
    assert code == 0
    assert "descend audit --all" in out


def test_all_takes_every_op_objective_and_fault(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a menu of one op and one objective, and one fault that shows and one that does not."""
    monkeypatch.setattr(command, "choices", lambda group: {"op": ["tanh"], "objective": ["parabola"]}[group.name])
    kept = next(fault for fault in KNOWN_FAULTS if fault.order == 2)
    operator = next(iter(kept.examples))
    never = type(kept)("nothing is wrong with this", "", 1, ("nested autograd.grad",), {"sin": lambda s: s.sin().sum()})
    shown = type(kept)(kept.effect, kept.source, 2, kept.routes, {operator: kept.examples[operator]})
    for module in (command, torch_faults):
        monkeypatch.setattr(module, "KNOWN_FAULTS", (shown, never))
    code, out, _ = audit("--all", "--order", "1")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[0] == "op=tanh"
    assert lines[1].split()[0] == "objective=parabola"
    assert lines[2].startswith(f"still there, shown by {operator}: torch: {kept.effect}")
    assert lines[3] == "MENDED by torch, shown by sin: torch: nothing is wrong with this."
    assert lines[-1].startswith("Every derivative that descend itself takes is right")


def test_every_choice_is_taken() -> None:
    assert {"relu", "spike", "fixed_point"} <= set(choices(FOLDER / "op"))
    assert {"rosenbrock", "digits_cnn", "pinn/heat"} <= set(choices(FOLDER / "objective"))


def test_a_summary_names_what_is_wrong_and_the_conclusion_what_concerns_us() -> None:
    def row(route: str, ours: bool, verdict: Mark) -> Judged:
        return Judged(2, route, ours, verdict, None, "sympy")

    good, theirs = row("a", True, Mark.RIGHT), row("b", False, Mark.WRONG)
    bad, unsettled = row("c", True, Mark.RAISES), row("d", True, Mark.UNCHECKED)
    report = AuditReport((good, theirs, unsettled), ())
    assert summary(report) == "1 of 3 right; order 2 b: wrong; order 2 *d: unchecked"
    assert report.exit_code == 0
    assert conclusion([report]) == (
        "Unchecked, for want of a reference that settles: d at order 2. The other 1 of 2 were checked and hold. "
        "Wrong by routes that descend does not take: b at order 2."
    )
    assert AuditReport((bad,), ()).exit_code == 0
    assert conclusion([AuditReport((bad,), ())]) == "Raises, where descend would take it: c at order 2."
    spoilt = row("e", True, Mark.WRONG)
    assert AuditReport((spoilt,), ()).exit_code == 1
    assert conclusion([AuditReport((spoilt, good), ())]) == (
        "Wrong, and taken by descend itself: e at order 2. The other 1 of 2 are right."
    )
    assert conclusion([AuditReport((good,), ())]) == (
        "Every derivative that descend itself takes is right (1 looked at)."
    )


def test_without_a_compiler_no_code_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._inductor import cpp_builder, exc

    def missing() -> str:
        raise exc.InvalidCxxCompiler

    assert command.backend() in ("inductor", "eager")
    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", missing)
    assert command.backend() == "eager"
