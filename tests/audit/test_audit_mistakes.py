"""The audit finds every mistake in a custom Function."""

import pytest
import torch
from ops import faulty

from descend.audit.audit import audit
from descend.audit.conclusion import conclusion
from descend.audit.report import AuditReport
from descend.audit.verdict import Mark

HESSIAN = "descend.derivatives.hessian"
BATCHED = "vmapped autograd.grad"
FORWARD = ("nested func.jvp", "nested func.jacfwd")


def report_on(function: type[torch.autograd.Function], order: int = 2) -> AuditReport:
    loss = faulty.through(function)
    x = torch.tensor([0.5, -0.8, 1.1], dtype=torch.float64)
    generator = torch.Generator().manual_seed(0)
    return audit(lambda params: loss(params["x"]), [{"x": x}], order, generator=generator, backend=None)


def verdicts(report: AuditReport, order: int) -> dict[str, Mark]:
    return {row.route: row.verdict for row in report.rows if row.order == order}


def test_a_right_function_has_torchs_own_fault_and_no_other() -> None:
    report = report_on(faulty.Right)
    spoilt = {(row.order, row.route) for row in report.rows if row.verdict != Mark.RIGHT}
    assert spoilt == {(2, name) for name in FORWARD}, "pytorch#197867 is mended, or something of ours is wrong"
    assert report.exit_code == 0
    assert "#197867" in report.table()


@pytest.mark.parametrize("function", [faulty.OldStyle, faulty.NoVmapRule])
def test_what_cannot_be_vmapped_is_traced_first_by_descend(function: type[torch.autograd.Function]) -> None:
    report = report_on(function, order=1)
    assert verdicts(report, 1)[BATCHED] == Mark.RAISES
    assert verdicts(report, 1)["descend.engine: stack, runs first"] == Mark.RIGHT
    assert report.exit_code == 0


def test_a_number_taken_out_of_a_tensor_is_run_by_python_and_not_called_wrong() -> None:
    report = report_on(faulty.ItemInBackward, order=1)
    found = verdicts(report, 1)
    assert found["make_fx then vmap"] == Mark.RAISES
    assert found["descend.engine: stack, runs first"] == Mark.NOT_TAKEN
    assert found["descend.engine: training gradient"] == Mark.RIGHT
    assert report.exit_code == 0
    assert "; run by the python backend" in report.table()
    assert conclusion([report]).startswith("Every derivative that descend itself takes is right")


@pytest.mark.parametrize("function", [faulty.OldStyle, faulty.NoVmapRule, faulty.NoJvp])
def test_what_a_class_lacks_is_said(function: type[torch.autograd.Function]) -> None:
    assert f"{function.__name__} is a custom Function: it" in report_on(function, order=1).table()


@pytest.mark.parametrize("function", [faulty.NoJvp, faulty.NothingSavedForForward])
def test_forward_mode_raises_and_descend_does_not_need_it(function: type[torch.autograd.Function]) -> None:
    report = report_on(function)
    assert {verdicts(report, 1)[name] for name in FORWARD} == {Mark.RAISES}
    assert report.exit_code == 0


@pytest.mark.parametrize("function", [faulty.DerivativeOnContext, faulty.DetachedBackward, faulty.NumpyInBackward])
def test_a_constant_derivative_is_wrong_from_the_second_order(function: type[torch.autograd.Function]) -> None:
    report = report_on(function)
    assert verdicts(report, 1)["descend.derivatives.gradient"] == Mark.RIGHT
    assert verdicts(report, 2)[HESSIAN] == Mark.WRONG
    assert report.exit_code == 1


def test_once_differentiable_is_refused_by_descend_and_wrong_elsewhere() -> None:
    found = verdicts(report_on(faulty.OnceDifferentiable), 2)
    assert found[HESSIAN] == Mark.REFUSED
    assert found["nested func.jacrev"] == Mark.WRONG


def test_a_jvp_that_is_not_the_backward_spoils_forward_routes_alone() -> None:
    report = report_on(faulty.JvpIsNotBackward)
    assert {verdicts(report, 1)[name] for name in FORWARD} == {Mark.WRONG}
    assert verdicts(report, 2)["func.jacfwd over func.jacrev"] == Mark.WRONG
    assert verdicts(report, 2)[HESSIAN] == Mark.RIGHT


def test_a_mask_write_raises_under_vmap() -> None:
    assert verdicts(report_on(faulty.MaskWrite, order=1), 1)["nested func.jacfwd"] == Mark.RAISES
    assert verdicts(report_on(faulty.MaskWrite, order=1), 1)[BATCHED] == Mark.RAISES


def test_a_wrong_shape_is_refused_with_a_sentence() -> None:
    assert verdicts(report_on(faulty.WrongShape, order=1), 1)["descend.derivatives.gradient"] == Mark.REFUSED


@pytest.mark.parametrize("function", [faulty.NoneReturned, faulty.WrongDerivative])
def test_a_wrong_derivative_is_found_where_all_routes_agree(function: type[torch.autograd.Function]) -> None:
    report = report_on(function, order=1)
    assert verdicts(report, 1)["nested autograd.grad"] == Mark.WRONG
    assert report.exit_code == 1
