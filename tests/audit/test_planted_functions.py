"""What the audit says of seventy functions written for it: no fault is missed, no right derivative accused."""

import warnings
from typing import Any

import pytest
import torch
from audit.planted_functions import FAULTY, RAISING, RIGHT, UNRECORDED, Scalar

from descend.audit.audit import audit
from descend.audit.conclusion import conclusion
from descend.audit.report import AuditReport
from descend.audit.verdict import Mark

AT = torch.tensor([0.33, -0.72, 1.17], dtype=torch.float64)


def report_on(function: Scalar, order: int) -> AuditReport:
    generator = torch.Generator().manual_seed(0)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # torch's own, about what is audited
        return audit(lambda p: function(p["x"]), [{"x": AT}], order, generator=generator, backend=None)


def test_there_are_as_many_of_each() -> None:
    assert len(RIGHT) == len(FAULTY) == 35


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_not_accused_nor_left_unchecked(name: str) -> None:
    report = report_on(RIGHT[name], 2)
    ours = {row.verdict for row in report.rows if row.ours and row.route.startswith("descend")}
    assert report.exit_code == 0, report.table()
    assert not ours & {Mark.WRONG, Mark.UNCHECKED}, report.table()
    assert "Wrong, and taken" not in conclusion([report])


@pytest.mark.parametrize("name", FAULTY)
def test_what_is_wrong_is_accused_at_its_order_and_not_before(name: str) -> None:
    order, function = FAULTY[name]
    report = report_on(function, order)
    wrong = {row.order for row in report.rows if row.ours and row.verdict == Mark.WRONG}
    assert report.exit_code == 1, report.table()
    assert wrong == {order}, report.table()
    assert conclusion([report]).startswith("Wrong, and taken by descend itself")


@pytest.mark.parametrize("name", RAISING)
def test_what_raises_is_said_to_raise(name: str) -> None:
    order, function = RAISING[name]
    report = report_on(function, order)
    ours = {row.verdict for row in report.rows if row.ours and row.order == order}
    assert ours & {Mark.RAISES, Mark.REFUSED}, report.table()
    assert report.exit_code == 0
    assert conclusion([report]).startswith(("Raises", "Refused"))


@pytest.mark.parametrize("name", UNRECORDED)
def test_what_cannot_be_recorded_is_run_by_python_and_neither_wrong_nor_raising(name: str) -> None:
    report = report_on(UNRECORDED[name], 1)
    recorded = [row for row in report.rows if row.ours and row.made_of]
    assert {row.verdict for row in recorded} == {Mark.NOT_TAKEN}, report.table()
    assert all(row.remark.endswith("; run by the python backend") for row in recorded)
    assert {row.verdict for row in report.rows if row.ours and not row.made_of} == {Mark.RIGHT}
    assert report.exit_code == 0
    assert conclusion([report]).startswith("Every derivative that descend itself takes is right (3 looked at).")


class ExpWithWrongTangent(torch.autograd.Function):
    """Its gradient is right; its forward mode, which descend does not take, is off by a hundredth."""

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return x.exp()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient * ctx.saved_tensors[0]

    @staticmethod
    def jvp(ctx: Any, tangent: torch.Tensor) -> torch.Tensor:
        return 1.01 * tangent * ctx.saved_tensors[0]


def test_a_wrong_rule_that_descend_does_not_call_is_told_last() -> None:
    report = report_on(lambda x: ExpWithWrongTangent.apply(x).sum(), 1)
    assert report.exit_code == 0
    rest, wrong = conclusion([report]).split(". ")
    assert rest.startswith("Every derivative that descend itself takes is right")
    assert wrong == "Wrong by routes that descend does not take: nested func.jvp at order 1."
