"""What the audit says of seventy functions written for it: no fault is missed, no right derivative accused."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from audit.planted_functions import FAULTY, RAISING, RIGHT, UNRECORDED, Scalar

from descend.audit.audit import audit
from descend.audit.conclusion import conclusion
from descend.audit.report import AuditReport
from descend.audit.verdict import Mark

pytestmark = pytest.mark.long

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


class SmoothAndRough(torch.autograd.Function):
    """x₀² + sin(10⁹ x₁) / 1000 by NumPy: no difference quotient settles on the derivative by x₁."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        values = x.detach().numpy()
        return torch.from_numpy(np.asarray(values[0] ** 2 + 1e-3 * np.sin(1e9 * values[1]) + 0 * values[2]))

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return gradient * torch.stack([2 * x[0], 1e6 * torch.cos(1e9 * x[1]), torch.zeros_like(x[0])])


def test_nothing_is_right_while_one_entry_was_not_checked() -> None:
    report = report_on(SmoothAndRough.apply, 1)
    ours = [row for row in report.rows if row.ours and row.verdict != Mark.NOT_TAKEN]
    assert {row.verdict for row in ours} == {Mark.UNCHECKED}, report.table()
    assert all(row.remark == "1 of 3 entries unchecked" for row in ours), report.table()
    assert conclusion([report]).startswith("Unchecked, for want of a reference that settles")
    assert "right" not in conclusion([report])
